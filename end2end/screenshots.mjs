// Pictures of the pages, in light and dark, wide and narrow.
// Usage: BASE_URL=http://127.0.0.1:3000 node end2end/screenshots.mjs <folder> [name ...]
//   names: overview pipeline not-found; with -light or -dark and -wide or -narrow to choose one

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "@playwright/test";

const base = process.env.BASE_URL;
const [folder, ...wanted] = process.argv.slice(2);
if (!base || !folder) throw new Error("usage: BASE_URL=http://127.0.0.1:3000 node end2end/screenshots.mjs <folder> [name ...]");

const pages = { overview: "/", pipeline: "/pipeline", "not-found": "/nowhere" };
const widths = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } };

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
for (const [width, viewport] of Object.entries(widths)) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 1, locale: "en-US", timezoneId: "UTC" });
    for (const [name, path] of Object.entries(pages)) {
      const file = `${name}-${colorScheme}-${width}`;
      if (wanted.length > 0 && !wanted.includes(file) && !wanted.includes(name)) continue;
      const page = await context.newPage();
      await page.goto(new URL(path, base).href);
      await page.locator('.connection[data-state="connected"]').waitFor();
      for (const chart of await page.locator(".chart").all()) {
        await chart.and(page.locator('[data-state="ready"]')).waitFor();
      }
      await page.screenshot({ path: join(folder, `${file}.png`), fullPage: true });
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
