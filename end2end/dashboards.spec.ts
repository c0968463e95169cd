// What people keep: views, queries, and dashboards of their own.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { distinct, expect, flash, hasScripts, invite, join, newAddress, open, otherBrowser, test } from "./support";

const VIEW = "/explore?metric=revenue&range=30d&split=store";

const saveView = async (page: Page, path: string, name: string): Promise<void> => {
  await open(page, path);
  await page.getByText("Save this view").click();
  const form = page.locator('form[action="/saved/create"]');
  await form.getByLabel("Name").fill(name);
  await form.getByRole("button", { name: "Save" }).click();
  await expect(flash(page)).toContainText(`“${name}” is saved`);
};

/** Answers the path of the new dashboard. */
const makeDashboard = async (page: Page, name: string): Promise<string> => {
  await open(page, "/dashboards");
  const form = page.locator('form[action="/dashboards/create"]');
  await form.getByLabel("Name").fill(name);
  await form.getByRole("button").click();
  await expect(flash(page)).toContainText(`“${name}” is here`);
  return new URL(page.url()).pathname;
};

const addView = async (page: Page, view: string, width: "Half" | "Full"): Promise<void> => {
  await page.getByLabel("View", { exact: true }).selectOption({ label: view });
  await page.getByLabel("Width", { exact: true }).selectOption(width);
  await page.locator('form[action="/dashboards/add"]').getByRole("button", { name: "Add" }).click();
  await expect(flash(page)).toContainText("The view is on");
};

const kept = (page: Page, name: string) => page.locator(".kept").filter({ hasText: name });

const deleteKept = async (page: Page, name: string): Promise<void> => {
  await open(page, "/saved");
  await kept(page, name).getByText("Actions").click();
  await page.getByRole("button", { name: `Delete ${name}` }).click();
  await expect(flash(page)).toContainText(`“${name}” is deleted`);
};

const deleteDashboard = async (page: Page, path: string): Promise<void> => {
  await open(page, `${path}?edit=yes`);
  await page.getByRole("button", { name: "Delete the dashboard" }).click();
  await expect(flash(page)).toContainText("is deleted");
};

/** Nobody is kept from using it, and nothing sticks out. */
const isFineForEverybody = async (page: Page): Promise<void> => {
  if (!hasScripts()) return;
  const { violations } = await new AxeBuilder({ page }).analyze();
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`)).toEqual([]);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow).toBe(0);
};

test("a view is saved, put on a dashboard, found at home, and shared with somebody", async ({ page, browser }) => {
  test.slow();
  const [view, dashboard] = [`Stores ${distinct()}`, `A board ${distinct()}`];
  await saveView(page, VIEW, view);
  await expect(page).toHaveURL(/\/explore\?metric=revenue/);
  await open(page, "/saved");
  await expect(kept(page, view)).toContainText("Revenue by store · last 30 days");
  await expect(kept(page, view)).toContainText("Only you see it");

  const path = await makeDashboard(page, dashboard);
  await addView(page, view, "Full");
  await isFineForEverybody(page);
  await page.getByRole("link", { name: "Done" }).click();
  const tile = page.locator(".tile");
  await expect(tile).toHaveCount(1);
  await expect(tile.getByText(view).first()).toBeVisible();
  await expect(tile.getByText("$").first()).toBeAttached();
  await isFineForEverybody(page);

  await open(page, "/");
  await page.getByRole("navigation", { name: "Your dashboards" }).getByRole("link", { name: dashboard }).click();
  await expect(page.getByRole("heading", { name: dashboard, level: 1 })).toBeVisible();

  // Somebody else sees it once it is shared, and changes nothing.
  const link = await invite(page, "Gil Example", newAddress("gil"), "viewer");
  const context = await otherBrowser(browser);
  const gil = await context.newPage();
  await join(gil, link);
  await expect(gil.getByRole("link", { name: new RegExp(dashboard) })).toHaveCount(0);
  expect((await gil.goto(path))?.status()).toBe(404);
  await expect(gil.getByRole("heading", { name: "Dashboard not found" })).toBeVisible();
  await open(page, `${path}?edit=yes`);
  await page.getByRole("button", { name: "Share with everybody" }).click();
  await expect(flash(page)).toContainText(`Everybody sees “${dashboard}” now`);
  await gil.goto("/dashboards");
  await gil.getByRole("link", { name: dashboard, exact: true }).click();
  await expect(gil.locator(".tile").getByText(view).first()).toBeVisible();
  await expect(gil.getByRole("link", { name: "Edit" })).toHaveCount(0);
  await gil.goto("/saved");
  await expect(gil.getByRole("heading", { name: "Saved", level: 1 })).toBeVisible();
  await expect(kept(gil, view)).toHaveCount(0);
  await open(page, `${path}?edit=yes`);
  await page.getByRole("button", { name: "Stop sharing" }).click();
  expect((await gil.goto(path))?.status()).toBe(404);
  await context.close();
  await deleteDashboard(page, path);
  await deleteKept(page, view);
});

test("views on a dashboard are moved, made wide and taken off", async ({ page }) => {
  test.slow();
  const [first, second, dashboard] = [`First ${distinct()}`, `Second ${distinct()}`, `A board ${distinct()}`];
  await saveView(page, VIEW, first);
  await saveView(page, "/explore?metric=orders&range=7d", second);
  const path = await makeDashboard(page, dashboard);
  await addView(page, first, "Half");
  await addView(page, second, "Half");
  const tiles = page.locator(".tile");
  await expect(tiles.nth(0)).toContainText(first);
  await page.getByRole("button", { name: `Move ${second} forward` }).click();
  await expect(tiles.nth(0)).toContainText(second);
  await expect(page).toHaveURL(/#tile-/);
  await page.getByRole("button", { name: `Full width for ${second}` }).click();
  await expect(tiles.nth(0)).toHaveAttribute("data-width", "full");
  await page.getByRole("button", { name: `Take ${first} off the dashboard` }).click();
  await expect(flash(page)).toContainText("It is still saved");
  await expect(tiles).toHaveCount(1);
  await page.getByLabel("Name of the dashboard").fill(`${dashboard} again`);
  await page.getByRole("button", { name: "Rename" }).click();
  await expect(page.getByRole("heading", { name: `${dashboard} again`, level: 1 })).toBeVisible();
  await deleteDashboard(page, path);
  for (const name of [first, second]) await deleteKept(page, name);
});

test("a query is saved where it was written, renamed, shared and opened again", async ({ page }) => {
  const [name, other] = [`Orders ${distinct()}`, `Count ${distinct()}`];
  await open(page, `/sql?q=${encodeURIComponent("SELECT count(*) AS hours FROM gold.sales")}`);
  await page.getByText("Save this query").click();
  const form = page.locator('form[action="/saved/create"]');
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("Everybody sees it").check();
  await form.getByRole("button", { name: "Save" }).click();
  await expect(flash(page)).toContainText("is saved");
  await open(page, "/saved");
  await expect(kept(page, name)).toContainText("SELECT count(*) AS hours FROM gold.sales");
  await expect(kept(page, name)).toContainText("Everybody sees it");
  await kept(page, name).getByText("Actions").click();
  await isFineForEverybody(page);
  await kept(page, name).getByRole("textbox", { name: "Name" }).fill(other);
  await page.getByRole("button", { name: `Rename ${name}` }).click();
  await expect(flash(page)).toContainText(`It is called “${other}” now`);
  await kept(page, other).getByText("Actions").click();
  await page.getByRole("button", { name: `Stop sharing: ${other}` }).click();
  await expect(flash(page)).toContainText(`Only you see “${other}” now`);
  await page.getByRole("link", { name: other, exact: true }).click();
  await expect(page.getByRole("region", { name: "Rows of the answer" })).toContainText("hours");
  await deleteKept(page, other);
});

test("what cannot be saved is explained", async ({ page }) => {
  await open(page, VIEW);
  await page.getByText("Save this view").click();
  const form = page.locator('form[action="/saved/create"]');
  // The browser itself lets no empty name through, but spaces.
  await form.getByLabel("Name").fill("   ");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(flash(page)).toContainText("A name is one line of 1 to 80 characters");
  await expect(page).toHaveURL(/\/explore/);
});
