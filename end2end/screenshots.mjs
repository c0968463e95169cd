// Pictures of the pages, in light and dark, wide and narrow.
// Usage: BASE_URL=http://127.0.0.1:3000 ADMIN_EMAIL=... ADMIN_PASSWORD=... node end2end/screenshots.mjs <folder> [name ...]
//   names: those of the pages below; with -light or -dark and -wide or -narrow to choose one

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "@playwright/test";

const base = process.env.BASE_URL;
const [folder, ...wanted] = process.argv.slice(2);
if (!base || !folder) throw new Error("usage: BASE_URL=http://127.0.0.1:3000 node end2end/screenshots.mjs <folder> [name ...]");

const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = process.env;
if (!email || !password) throw new Error("ADMIN_EMAIL and ADMIN_PASSWORD are not set: they say who logs in");

const pages = {
  overview: "/",
  explore: "/explore?metric=revenue&metric=orders&range=90d&compare=yes",
  "explore-split": "/explore?metric=revenue&range=1y&split=department&chart=area",
  "explore-ranking": "/explore?metric=revenue&metric=units&range=30d&split=product&filter=department:GROCERY&chart=bar&compare=yes",
  "explore-heat": "/explore?metric=orders&range=7d&chart=heat",
  "explore-total": "/explore?metric=revenue&metric=orders&metric=average_order_value&range=30d&by=none&compare=yes",
  "explore-table": "/explore?metric=revenue&range=30d&split=store&chart=table&compare=yes",
  saved: "/saved",
  dashboards: "/dashboards",
  pipeline: "/pipeline",
  quality: "/quality",
  letters: "/quality/letters",
  "letters-none": "/quality/letters?rule=nothing",
  "letter-missing": "/quality/letters/transaction-events/0/999999999",
  tables: "/tables",
  table: "/tables/gold/sales",
  "table-missing": "/tables/gold/nothing",
  sql: "/sql",
  "sql-answer": `/sql?q=${encodeURIComponent("SELECT date, sum(revenue) AS revenue, sum(orders) AS orders FROM gold.sales GROUP BY date ORDER BY date")}`,
  "sql-wrong": `/sql?q=${encodeURIComponent("SELECT revenu FROM gold.sales")}`,
  rows: "/rows?metric=revenue&days=30&filter=store:367",
  event: "/events/transaction-events/0/5",
  profile: "/profile",
  docs: "/docs",
  keys: "/keys",
  users: "/admin/users",
  roles: "/admin/roles",
  sessions: "/admin/sessions",
  audit: "/admin/audit",
  "not-found": "/nowhere",
};
/** Pages for those who are not signed in. */
const doors = { login: "/login", code: "/login/code", setup: "/setup?token=demo", invitation: "/invitation?token=demo" };
const widths = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } };

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
for (const [width, viewport] of Object.entries(widths)) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 1, locale: "en-US", timezoneId: "UTC" });
    for (const name of [...Object.keys(doors), "", ...Object.keys(pages), "letter", "dashboard", "dashboard-edit"]) {
      if (!name) {
        const origin = new URL(base).origin;
        await context.request.post(new URL("/login", base).href, { form: { email, password }, headers: { origin } });
        // The first dashboard that there is.
        const answer = await context.request.get(new URL("/api/v1/dashboards", base).href);
        const [dashboard] = (await answer.json()).dashboards;
        // The newest dead letter.
        const page = await context.request.get(new URL("/api/v1/quality/letters?limit=1", base).href);
        const [letter] = (await page.json()).letters;
        if (letter) pages.letter = `/quality/letters/${letter.topic}/${letter.partition}/${letter.offset}`;
        if (dashboard) {
          pages.dashboard = `/dashboards/${dashboard.id}`;
          pages["dashboard-edit"] = `/dashboards/${dashboard.id}?edit=yes`;
        }
        continue;
      }
      const path = doors[name] ?? pages[name];
      if (!path) continue;
      const file = `${name}-${colorScheme}-${width}`;
      if (wanted.length > 0 && !wanted.includes(file) && !wanted.includes(name)) continue;
      const page = await context.newPage();
      await page.goto(new URL(path, base).href);
      if (name in pages) await page.locator('.connection[data-state="connected"]').waitFor();
      else await page.waitForLoadState("networkidle");
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
