"""`deepmark vocabulary`: the categories and landmarks of a team's own labels, shown, checked, drawn and made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, is_meant, open_workspace, print_json
from deepmark.cli.outputs import SHAPES, SHAPES_MARK, VOCABULARY, check_new_file, check_unedited
from deepmark.errors import DeepmarkError

if TYPE_CHECKING:
    from deepmark.report.tables.table import Table
    from deepmark.vocabulary import Category, Vocabulary

vocabulary = typer.Typer(
    help="The categories and landmarks of your own labels: vocabulary.yaml.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A vocabulary.yaml; else the workspace's; without both DeepFashion2's."),
]


def _read(file: Path | None, workspace: Path) -> "Vocabulary":
    from deepmark.vocabulary import DEEPFASHION2
    from deepmark.vocabulary.vocabulary_file import read_vocabulary

    if file is not None:
        return read_vocabulary(file)
    return open_workspace(workspace).vocabulary if is_meant(workspace) else DEEPFASHION2


@vocabulary.command()
def show(
    file: FileArgument = None,
    category: Annotated[
        str | None, typer.Option(metavar="NAME", help="The landmarks of this category instead of all categories.")
    ] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """A table of the categories, or of the landmarks of one."""
    from deepmark.errors import nearest
    from deepmark.report.tables.table import print_table
    from deepmark.vocabulary.plain_form import plain_form

    words = _read(file, workspace)
    if category is not None and category not in words.by_name:
        raise DeepmarkError(f"--category: no category is named '{category}'. {nearest(category, words.by_name)}")
    if as_json:
        plain = plain_form(words)
        print_json(plain if category is None else plain["categories"][words.by_name[category].index])
    else:
        print_table(_categories(words) if category is None else _landmarks(words.by_name[category]))


def _categories(words: "Vocabulary") -> "Table":
    from deepmark.report.tables.table import UNKNOWN, Row, Table

    rows = [
        Row(
            cells=(
                f"{category.index + 1} {category.name}",
                str(category.landmarks),
                str(sum(mirror > i for i, mirror in enumerate(category.mirror))),
                *(f"{of(category.sigmas):g}" if category.sigmas else UNKNOWN for of in (min, max)),
                "no" if category.drawing is None else "yes",
            )
        )
        for category in words.categories
    ]
    return Table(
        title=f"{words.name}: {len(words.categories)} categories, {words.landmarks} landmarks",
        columns=("category", "landmarks", "mirror pairs", "smallest sigma", "largest sigma", "drawing"),
        rows=tuple(rows),
    )


def _landmarks(category: "Category") -> "Table":
    from deepmark.report.tables.table import Row, Table

    mirrors = ["" if mirror == i else str(mirror + 1) for i, mirror in enumerate(category.mirror)]
    rows = [
        Row(cells=(f"{number} {part}", mirror, f"{sigma:g}"))
        for number, (part, mirror, sigma) in enumerate(zip(category.parts, mirrors, category.sigmas, strict=True), 1)
    ]
    return Table(
        title=f"{category.name}: {category.landmarks} landmarks",
        columns=("landmark", "mirror", "sigma"),
        rows=tuple(rows),
    )


@vocabulary.command()
def check(file: FileArgument = None, workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Read a vocabulary.yaml as every command does; exit code 1 with file, line and key where anything is wrong.

    What is right and looks like an oversight is told too: names of two sides without `mirror`, unusual sigmas.
    """
    from deepmark.vocabulary.oversights import oversights

    words = _read(file, workspace)
    found = oversights(words)
    facts: dict[str, Any] = {
        "name": words.name,
        "categories": len(words.categories),
        "landmarks": words.landmarks,
        "oversights": found,
    }
    if as_json:
        print_json(facts)
        return
    for line in found:
        typer.echo(line, err=True)
    counts = f"{words.name}: {facts['categories']} categories and {facts['landmarks']} landmarks"
    verdict = f"no fault, and {len(found)} to look at, see above" if found else "nothing is wrong"
    typer.echo(f"{counts}, {verdict}.")


@vocabulary.command()
def draw(
    out: Annotated[Path, typer.Option(metavar="FILE", help="A page, NAME.html, or an image, NAME.png.")],
    file: FileArgument = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Draw each category with its numbered landmarks, mirror pairs, and how far off a landmark may be."""
    from deepmark.files import new_file, write_text

    words = _read(file, workspace)
    inputs = [file] if file is not None else []
    if out.suffix.lower() == ".html":
        from deepmark.draw.vocabulary_page import vocabulary_page

        check_new_file(out, "--out", SHAPES, inputs=inputs)
        write_text(out, vocabulary_page(words, SHAPES_MARK))
    elif out.suffix.lower() == ".png":
        import PIL.Image
        import PIL.PngImagePlugin

        from deepmark.draw.vocabulary_sheet import vocabulary_sheet

        check_new_file(out, "--out", SHAPES, inputs=inputs)
        mark = PIL.PngImagePlugin.PngInfo()
        mark.add_text("Software", SHAPES_MARK)
        with new_file(out) as draft:
            PIL.Image.fromarray(vocabulary_sheet(words)).save(draft, "PNG", pnginfo=mark)
    else:
        raise DeepmarkError(f"--out {out}: give a page, NAME.html, or an image, NAME.png.")
    if as_json:
        print_json({"file": str(out), "categories": len(words.categories)})
    else:
        typer.echo(f"{out}: {len(words.categories)} categories of {words.name}")


@vocabulary.command("from-coco")
def from_coco(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A COCO data set with keypoints.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The vocabulary.yaml to write.")],
    name: Annotated[str | None, typer.Option(help="What the vocabulary is called; else as the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a vocabulary.yaml of a COCO data set: names, mirror pairs, sigmas and shapes, for you to look through.

    Pairs of left and right are guessed from names. Sigmas come from garments that were labelled twice, or are a
    default.
    """
    from deepmark.data.coco.guess_vocabulary import DEFAULT_SIGMA, guess_vocabulary
    from deepmark.digests import NO_DIGEST, new_file_with_digest
    from deepmark.vocabulary.vocabulary_file import vocabulary_yaml

    check_new_file(out, "--out", VOCABULARY, inputs=[file])
    check_unedited(out, "--out")
    found = guess_vocabulary(file, name or file.stem)
    words = found.vocabulary
    by_default = words.landmarks - found.estimated
    notes = [
        f"Made from {file.name} by `deepmark vocabulary from-coco`. Look it through before you train.",
        f"{found.pairs} mirror pairs were guessed from the names of landmarks.",
        f"{found.estimated} sigmas were estimated from {found.labelled_twice} garments that were labelled twice.",
    ]
    warnings = []
    if by_default:
        warnings.append(
            f"{by_default} sigmas are the default {DEFAULT_SIGMA:g}: label some images twice for those of your data."
        )
    if found.as_boxes:
        warnings.append(f"Drawn as rectangles, for there are no landmarks to go by: {', '.join(found.as_boxes)}.")
    if found.without_drawing:
        warnings.append(f"Without a drawing, for a landmark has no label: {', '.join(found.without_drawing)}.")
    with new_file_with_digest(out) as draft:
        draft.write_text(vocabulary_yaml(words, "\n".join([*notes, *warnings, NO_DIGEST])), "utf-8")
    if as_json:
        facts = {"categories": len(words.categories), "landmarks": words.landmarks, "mirror_pairs": found.pairs}
        sigmas = {"sigmas_estimated": found.estimated, "sigmas_by_default": by_default}
        twice = {"garments_labelled_twice": found.labelled_twice, "warnings": warnings}
        print_json({"file": str(out), **facts, **sigmas, **twice})
        return
    for line in (*notes[1:], *warnings):
        typer.echo(line, err=True)
    counts = f"{len(words.categories)} categories, {words.landmarks} landmarks"
    typer.echo(f"{out}: {counts}. `deepmark vocabulary draw {out} --out page.html` shows them.")
