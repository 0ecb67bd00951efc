"""A picture of a workspace's report page, light on a laptop and dark on a phone: the one in docs/images.

python benchmarks/report_picture.py WORKSPACE docs/images/report.webp
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

HEIGHT, GAP = 1500, 40
LAPTOP, PHONE = (1200, "light", None), (390, "dark", "images")


def shot(browser: Browser, page_file: Path, width: int, scheme: str, section: str | None) -> Image.Image:
    view = {"width": width, "height": HEIGHT}
    page = browser.new_page(viewport=view, color_scheme=scheme, reduced_motion="reduce")
    page.goto(page_file.resolve().as_uri() + (f"#{section}" if section else ""))
    page.evaluate("Promise.all([...document.querySelectorAll('.gallery img')].map(image => image.decode()))")
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def main(workspace: Path, out: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--hide-scrollbars"])
        shots = [shot(browser, workspace / "report/index.html", *view) for view in (LAPTOP, PHONE)]
        browser.close()
    sheet = Image.new("RGB", (sum(one.width for one in shots) + 3 * GAP, HEIGHT + 2 * GAP), (125, 130, 142))
    left = GAP
    for one in shots:
        sheet.paste(one, (left, GAP))
        left += one.width + GAP
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, "WEBP", quality=80, method=6)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
