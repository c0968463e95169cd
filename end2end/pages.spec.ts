// What holds for every page.

import AxeBuilder from "@axe-core/playwright";
import { DOORS, expect, hasScripts, open, test } from "./support";

const PAGES = [
  "/?range=1y",
  "/?range=24h",
  "/?range=fortnight",
  "/?from=1999-01-01&to=1999-01-31",
  "/explore?metric=revenue&metric=orders&range=90d&compare=yes",
  "/explore?range=90d&split=department&filter=department:GROCERY&filter=department:MEAT&chart=area",
  "/explore?split=store&chart=bar",
  "/explore?range=7d&chart=heat",
  "/explore?by=none&compare=yes",
  "/explore?split=planet",
  "/explore?from=1999-01-01&to=1999-01-31",
  "/saved",
  "/dashboards",
  "/pipeline",
  "/quality",
  "/quality/letters",
  "/tables",
  "/tables/gold/sales",
  "/sql",
  "/sql?q=SELECT%20store_id%2C%20sum(orders)%20AS%20orders%20FROM%20gold.sales%20GROUP%20BY%20store_id",
  "/sql?q=SELECT%20nothing",
  "/rows?metric=revenue&days=7&limit=50",
  "/events/transaction-events/0/0",
  "/profile",
  "/keys",
  "/docs",
  "/admin/users",
  "/admin/roles",
  "/admin/sessions",
  "/admin/audit",
  ...DOORS,
];

for (const path of PAGES) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`${path} is accessible in ${colorScheme} colours`, async ({ page }) => {
      test.skip(!hasScripts(), "the checker is itself a script; the markup is the same");
      test.skip(test.info().project.name === "hydrated-narrow" && colorScheme === "dark", "the colours are those of the wide page");
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await open(page, path);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`)).toEqual([]);
    });
  }

  test(`${path} needs no horizontal scrolling`, async ({ page }) => {
    await open(page, path);
    const main = page.locator("main");
    await expect(main.getByRole("heading", { level: 1 })).toBeVisible();
    const box = await page.locator(".layout").boundingBox();
    expect(box?.width).toBeLessThanOrEqual(page.viewportSize()?.width ?? 0);
    if (hasScripts()) {
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(overflow).toBe(0);
    }
  });
}

test("an unknown address is answered with 404 and a way back", async ({ page, watched }) => {
  watched.expected.push(/status of 404/);
  const response = await open(page, "/nowhere/at/all");
  expect(response?.status()).toBe(404);
  await expect(page.getByRole("heading", { name: "Page not found" })).toBeVisible();
  await page.getByRole("link", { name: "To the overview" }).click();
  await expect(page.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
});

test("the keyboard reaches the content first", async ({ page }) => {
  await open(page, "/");
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  await expect(skip).toBeFocused();
  await expect(skip).toBeInViewport();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
});
