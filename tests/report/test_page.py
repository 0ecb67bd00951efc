"""The page: everything in one file, nothing from elsewhere, whole or not at all."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import simplejpeg
from measurements import content, item, items, measured, metrics

from deepmark.report.page import render_page, write_report
from deepmark.report.tables.published import VALIDATION_IMAGES, VALIDATION_ITEMS
from deepmark.tracking.earlier_runs import EarlierRun

pytestmark = pytest.mark.slow


class Elements(HTMLParser):
    """The elements of a page: their names, attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return render_page(content())


@pytest.fixture(scope="module")
def page(text) -> Elements:
    return Elements(text)


def test_the_page_has_every_section_and_its_contents_lead_to_them(page):
    links = [one["href"] for one in page.all("a") if one["href"] != "#main"]
    headings = [f"#{one['id']}" for one in page.all("h2")]

    assert headings == [
        *("#headline", "#images", "#strategies", "#curves", "#errors", "#categories", "#subsets", "#landmarks"),
        *("#published-figures", "#the-run", "#how-to-read-this"),
    ]
    assert set(links) == set(headings)


def test_nothing_is_asked_of_anyone(page):
    sources = [one.get(name) for _, one in page.found for name in ("src", "href", "srcset", "action", "xlink:href")]

    assert all(source.startswith(("#", "data:")) for source in sources if source)
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_no_id_is_used_twice_and_every_reference_leads_somewhere(text):
    ids = re.findall(r'\bid="([^"]+)"', text)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    named = [name for names in re.findall(r'aria-labelledby="([^"]+)"', text) for name in names.split()]

    assert len(set(ids)) == len(ids)
    assert set(used) | set(named) <= set(ids)


def test_figures_of_every_kind_of_table_are_there(page):
    for words in (
        "0.830–0.880",
        "300 drawn images",
        "Match R-CNN, full data",
        "NMS (serves)",
        "md5 00ff",
        "4.10 million",
    ):
        assert any(words in line for line in page.words), words


def test_what_concerns_one_strategy_is_of_the_one_that_serves():
    text = render_page(content(measured={"none": measured(0.111), "flip": measured(0.222)}, serving="flip"))

    rows = re.findall(r'<th scope="row">vest</th>(.*?)</tr>', text, re.DOTALL)
    assert any("0.222" in row for row in rows)
    assert not any("0.111" in row for row in rows)
    assert re.search(r'<h2 id="headline">NMS \+ flip, the strategy that serves</h2>', text)
    assert re.search(r"<dt>box AP</dt><dd>0\.222<", text)


def test_published_figures_stand_in_a_section_of_their_own_that_says_when_they_compare(text):
    before, _, rest = text.partition('<section aria-labelledby="published-figures">')
    section, _, after = rest.partition("</section>")

    assert "All other figures of this page are of 300 drawn images." in section
    for name in ("Match R-CNN", "DeepMark hourglass"):
        assert name in section
        assert name not in before + after


def test_on_deepfashion2_the_page_compares_with_the_paper_and_with_the_highest_figures():
    own = measured(0.5)
    of_the_set = replace(
        own,
        metrics=own.metrics | {"images": VALIDATION_IMAGES},
        items=items(*(item(i) for i in range(VALIDATION_ITEMS - 100))),
    )
    text = render_page(content(measured={"nms": of_the_set}))
    table = text.partition("<caption>Beside published figures</caption>")[2].partition("</table>")[0]
    box = re.findall(r"<t[hd].*?>(.*?)</t[hd]>", table.partition("box AP<")[2].partition("</tr>")[0], re.DOTALL)

    assert "DeepMark DLA-34, NMS" in table
    assert box == ["0.500", "0.667", "-0.167", "0.737", "-0.237", "DeepMark++, one stage"]
    assert "Beside published figures" not in render_page(content())


def test_earlier_runs_stand_beside_the_result_and_one_of_other_data_is_told():
    figures = {"box_ap": 0.4, "landmark_ap": 0.6}
    before = EarlierRun(name="run before", run_id="a", figures=figures, data_version="11aa22bb")
    champion = EarlierRun(name="champion, version 3", run_id="b", figures={"box_ap": 0.55}, data_version="99ff")
    text = render_page(content(measured={"nms": measured(0.5)}, earlier=[before, champion], data_version="11aa22bb"))
    section = text.partition('<section aria-labelledby="compared">')[2].partition("</section>")[0]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', section, re.DOTALL)
    cells = {name: re.findall(r"<td.*?>(.*?)</td>", row) for name, row in rows}

    assert cells["box AP"] == ["0.500", "0.400", "+0.100", "0.550", "-0.050"]
    assert cells["landmark AP, visible + occluded"] == ["0.500", "0.600", "-0.100", "–", "–"]
    assert "the champion, version 3 was trained and measured on other data (99ff)" in section
    assert "the run before was" not in section


def test_the_run_shows_what_its_recipe_switches_on_beside_the_papers():
    text = render_page(content())

    assert "<caption>What differs from the profile paper</caption>" in text
    assert "Decay a step of the average." in text
    assert "The recipe is that of the profile <code>paper</code>." in render_page(content(recipe=[]))
    assert "by more than 0.5 is removed (<code>predict.nms</code>)" in text


def test_both_kinds_of_nms_stand_side_by_side_where_they_were_measured():
    kinds = {"hard": metrics(0.5), "soft": metrics(0.52)}
    none = replace(measured(0.1), metrics=metrics(0.1) | {"nms_kinds": kinds})
    text = render_page(content(measured={"none": none, "nms": measured(0.5)}, nms="soft"))
    table = text.partition("<caption>By kind of NMS</caption>")[2].partition("</table>")[0]

    assert re.findall(r'<th scope="row">(.*?)</th>', table) == ["hard", "soft (used)"]
    assert "0.520" in table
    assert "By kind of NMS" not in render_page(content())


def test_text_is_shown_as_it_is_whatever_is_in_it(text):
    assert "# &lt;the seed&gt;" in text
    shown = render_page(content(facts={"Run": {"note": "<script>alert(1)</script>"}}))
    assert "<script>alert" not in shown


def test_every_image_is_on_the_page_once_with_words_for_those_who_do_not_see_it(page):
    images = page.all("img")

    assert [one["alt"] for one in images if one["alt"]] == [
        f"Image {number:06d}. Labelled: vest. Found: vest 0.90." for number in (1, 2, 3)
    ]
    assert len(images) == 6  # the labels beside the detections
    assert all(one["src"].startswith("data:image/webp;base64,") for one in images)


def test_what_the_training_warned_of_is_shown_above_its_losses(text):
    assert "Warning:" not in text
    warned = render_page(content(warnings=["box AP is still 0 after 3 epochs", "the training loss has <collapsed>"]))
    section = warned[warned.index("<details open><summary>The training’s loss") :]

    first, second = section.index("box AP is still 0 after 3 epochs."), section.index("has &lt;collapsed&gt;.")
    assert first < second < section.index("<svg")


def test_without_images_epochs_and_times_there_are_no_empty_sections():
    untimed = metrics()
    del untimed["ms"]
    bare = replace(measured(), metrics=untimed)
    text = render_page(content(images=[], history=[], measured={"none": bare}, serving="none"))

    for words in ('id="images"', "#images", "loss by epoch", "Milliseconds an image", "<img"):
        assert words not in text


def test_a_figure_that_there_is_none_of_is_a_dash():
    text = render_page(content(measured={"none": replace(measured(), metrics=metrics(None))}, serving="none"))

    assert re.search(r"<dt>box AP</dt><dd>–</dd>", text)


def test_the_same_content_gives_the_same_page(text):
    assert render_page(content()) == text


def test_the_folder_holds_the_page_and_a_row_of_pictures(tmp_path):
    page = write_report(tmp_path / "report", content())

    assert page == tmp_path / "report/index.html"
    assert sorted(file.name for file in page.parent.iterdir()) == ["index.html", "overview.jpg"]
    row = simplejpeg.decode_jpeg((page.parent / "overview.jpg").read_bytes())
    assert row.shape[0] == 320
    assert row.shape[1] > 3 * 320


def test_a_second_report_takes_the_place_of_the_first(tmp_path):
    write_report(tmp_path / "report", content())
    page = write_report(tmp_path / "report", content(images=[]))

    assert [file.name for file in page.parent.iterdir()] == ["index.html"]
    assert [file.name for file in tmp_path.iterdir()] == ["report"]


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    page = write_report(tmp_path / "report", content())
    before = page.read_bytes()
    with pytest.raises(KeyError, match="box"):
        write_report(tmp_path / "report", content(measured={"none": replace(measured(), metrics={})}, serving="none"))

    assert page.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report"]
