// Explore: the view stands in the address, and its numbers are those of the API.

import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { expect, hasScripts, hydratedOnly, number, open, test } from "./support";

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
/** Eight days that are over, so that their numbers stand still. */
const DAYS = `from=${daysAgo(107)}&to=${daysAgo(100)}`;

const result = (page: Page) => page.locator("#explored");
const rows = (page: Page) => result(page).locator("tbody tr");
const chart = (page: Page) => result(page).locator(".chart");
const control = (page: Page, name: string) => page.locator(`.explore-form [name="${name}"]`);

/** The rows of the table, with numbers as numbers. */
const shown = async (page: Page, texts: number): Promise<(string | number)[][]> => {
  const lines = await rows(page).evaluateAll((found) => found.map((row) => [...row.children].filter((cell) => !cell.classList.contains("behind")).map((cell) => cell.textContent ?? "")));
  return lines.map((cells) => cells.map((cell, place) => (place < texts ? cell.replace(/^Only this [\w ]+: /, "").trim() : number(cell))));
};

/** What the API says of the same. */
const asked = async (page: Page, query: string) => {
  const answer = await page.request.get(`/api/v1/analytics/historical?${query}`);
  expect(answer.status(), await answer.text()).toBe(200);
  return (await answer.json()).rows as { time: string | null; key: string | null; values: Record<string, string>; previous?: { values: Record<string, string> } }[];
};

const cents = (text: string | undefined) => Math.round(Number(text) * 100) / 100;

/** With scripts a change takes effect by itself; without, the form is sent. */
const settle = async (page: Page) => {
  if (!hasScripts()) await page.getByRole("button", { name: "Show", exact: true }).click();
};

const drawn = async (page: Page) => {
  if (hasScripts()) await expect(chart(page)).toHaveAttribute("data-state", "ready");
  else await expect(chart(page).locator(".chart-fallback")).toBeVisible();
};

test("over time the numbers are those of the API, the newest first", async ({ page }) => {
  await open(page, `/explore?metric=revenue&metric=orders&${DAYS}`);
  await drawn(page);
  await expect(rows(page)).toHaveCount(8);
  const api = await asked(page, `metric=revenue,orders&${DAYS}&granularity=day`);
  const expected = api.map((row) => [cents(row.values.revenue), Number(row.values.orders)]).reverse();
  expect((await shown(page, 1)).map((row) => row.slice(1))).toEqual(expected);
});

test("a split shows the greatest first, with the period before and the change", async ({ page }) => {
  await open(page, `/explore?metric=revenue&${DAYS}&split=store&chart=bar&compare=yes`);
  await drawn(page);
  const api = await asked(page, `metric=revenue&${DAYS}&group_by=store&compare=previous&limit=100`);
  const table = await result(page).locator("tbody tr").evaluateAll((found) =>
    found.map((row) => [...row.children].map((cell) => (cell.textContent ?? "").replace(/^Only this \w+: /, "").trim())),
  );
  expect(table.length).toBe(api.length);
  api.forEach((row, place) => {
    const [key, now, before, change] = table[place] ?? [];
    expect(key).toBe(row.key);
    expect(number(now ?? null)).toBe(cents(row.values.revenue));
    if (!row.previous) return expect(before).toBe("–");
    expect(number(before ?? null)).toBe(cents(row.previous.values.revenue));
    const percent = (Number(row.values.revenue) / Number(row.previous.values.revenue) - 1) * 100;
    expect(Math.abs(number(change ?? null) - percent)).toBeLessThanOrEqual(0.06);
  });
});

test("values are followed over time, and filters hold", async ({ page }) => {
  await open(page, `/explore?metric=units&${DAYS}&split=category&filter=department:GROCERY`);
  await drawn(page);
  await expect(rows(page)).toHaveCount(8 * 8);
  const api = await asked(page, `metric=units&${DAYS}&group_by=category&filter=department:GROCERY&granularity=day&limit=10000`);
  for (const [time, key, units] of await shown(page, 2)) {
    const day = new Date(`${time} UTC`).toISOString().slice(0, 10);
    const row = api.find((one) => one.key === key && one.time?.startsWith(day));
    expect(units, `${time}, ${key}`).toBe(row ? cents(row.values.units) : 0);
  }
});

test("without time and split there is one number for each metric", async ({ page }) => {
  await open(page, `/explore?metric=revenue&metric=orders&${DAYS}&by=none&compare=yes`);
  const [api] = await asked(page, `metric=revenue,orders&${DAYS}&granularity=none&compare=previous`);
  const total = (metric: string) => result(page).locator(`[data-metric="${metric}"]`);
  expect(number(await total("revenue").locator(".total-value").textContent())).toBe(cents(api?.values.revenue));
  expect(number(await total("orders").locator(".total-value").textContent())).toBe(Number(api?.values.orders));
  await expect(total("revenue")).toContainText("in the period before");
});

test("what is changed stands in the address, and the way back leads through it", async ({ page }) => {
  await open(page, "/explore");
  await expect(control(page, "metric").first()).toHaveValue("revenue");
  await control(page, "metric").nth(1).selectOption("orders");
  await settle(page);
  await expect(page).toHaveURL(/metric=revenue&metric=orders/);
  await expect(result(page).getByText("Revenue and orders", { exact: true }).first()).toBeVisible();
  await control(page, "split").selectOption("store");
  await settle(page);
  await expect(page).toHaveURL(/split=store/);
  await control(page, "chart").and(page.locator('[value="bar"]')).check({ force: true });
  await settle(page);
  await expect(page).toHaveURL(/chart=bar/);
  await page.getByRole("link", { name: "30 days" }).click();
  await expect(page).toHaveURL(/range=30d/);
  await expect(page).toHaveURL(/metric=orders.*split=store.*chart=bar/);
  await expect(page.getByRole("link", { name: "30 days" })).toHaveAttribute("aria-current", "true");
  await expect(page).toHaveTitle("Revenue and orders by store · Explore · StreamlineHub");
  await page.goBack();
  await expect(page).toHaveURL(/range=1y/);
  await expect(page.getByRole("link", { name: "1 year" })).toHaveAttribute("aria-current", "true");
  await page.getByRole("link", { name: "Reset" }).click();
  await expect(page).toHaveURL("/explore");
  await expect(control(page, "split")).toHaveValue("");
});

test("days of one's own choice can be asked for", async ({ page }) => {
  await open(page, "/explore?range=30d");
  await control(page, "from").fill(daysAgo(107));
  await control(page, "to").fill(daysAgo(100));
  if (hasScripts()) await control(page, "to").blur();
  await settle(page);
  await expect(page).toHaveURL(new RegExp(`from=${daysAgo(107)}&to=${daysAgo(100)}`));
  await expect(rows(page)).toHaveCount(8);
  await page.getByRole("link", { name: "7 days" }).click();
  await expect(page).toHaveURL(/range=7d/);
  await expect(control(page, "from")).toHaveValue("");
});

test("a filter is added, shown and taken off", async ({ page }) => {
  await open(page, `/explore?${DAYS}`);
  const before = await shown(page, 1);
  await control(page, "where").selectOption("department");
  if (hasScripts()) await expect(page.locator('#explore-values option[value="GROCERY"]')).toHaveCount(1);
  await control(page, "is").fill("GROCERY");
  if (hasScripts()) await control(page, "is").press("Enter");
  await settle(page);
  await expect(page).toHaveURL(hasScripts() ? /filter=department:GROCERY/ : /where=department&is=GROCERY/);
  const chip = page.locator(".chip");
  await expect(chip).toHaveText(/Department: GROCERY/);
  await expect(async () => {
    const [first] = await shown(page, 1);
    expect(first?.[1]).toBeLessThan(Number(before[0]?.[1]));
  }).toPass();
  if (hasScripts()) await expect(control(page, "is")).toHaveValue("");
  await page.getByRole("link", { name: "Take off the filter Department: GROCERY" }).click();
  await expect(chip).toHaveCount(0);
  await expect(async () => expect(await shown(page, 1)).toEqual(before)).toPass();
});

test("the file has the numbers of the page", async ({ page }) => {
  await open(page, `/explore?metric=revenue&metric=average_order_value&${DAYS}&split=store&chart=table&compare=yes`);
  const link = page.getByRole("link", { name: "Export as CSV" });
  await expect(link).toHaveAttribute("download", "revenue-average_order_value-by-store.csv");
  const answer = await page.request.get((await link.getAttribute("href")) ?? "");
  expect(answer.headers()["content-type"]).toContain("text/csv");
  expect(answer.headers()["content-disposition"]).toContain("revenue-average_order_value-by-store.csv");
  const [head, ...lines] = (await answer.text()).trim().split("\n");
  expect(head).toBe("store,revenue,average_order_value,revenue_before,average_order_value_before");
  await expect(rows(page)).toHaveCount(lines.length);
  const first = await rows(page).first().locator("td:not(.behind)").allTextContents();
  const [, revenue, average, before] = (lines[0] ?? "").split(",");
  expect([first[0], first[3], first[1]].map((text) => number(text ?? null))).toEqual([revenue, average, before].map(cents));
});

test("the chart can be had as a picture", async ({ page }) => {
  hydratedOnly();
  await open(page, `/explore?metric=revenue&${DAYS}&split=department&chart=area`);
  await drawn(page);
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save as PNG" }).click();
  const download = await coming;
  expect(download.suggestedFilename()).toBe("revenue-by-department.png");
  const picture = await readFile(await download.path());
  expect(picture.subarray(1, 4).toString()).toBe("PNG");
  // Its width stands behind the signature: twice that of the chart, and margins.
  const box = await chart(page).boundingBox();
  expect(Math.abs(picture.readUInt32BE(16) - 2 * ((box?.width ?? 0) + 32))).toBeLessThan(4);
  expect(picture.length).toBeGreaterThan(10_000);
});

test("a click on the chart leads one step down", async ({ page }) => {
  hydratedOnly();
  await open(page, `/explore?metric=revenue&${DAYS}`);
  await drawn(page);
  // A little right of the axis is the first of the eight days.
  await chart(page).click({ position: { x: 70, y: 150 } });
  await expect(page).toHaveURL(new RegExp(`from=${daysAgo(107)}&to=${daysAgo(107)}`));
  await expect(rows(page)).toHaveCount(24);
  await open(page, `/explore?metric=revenue&${DAYS}&split=store&chart=bar`);
  await drawn(page);
  const [greatest] = await shown(page, 1);
  // The first bar lies below the name of the metric.
  await chart(page).click({ position: { x: 156, y: 44 } });
  await expect(page).toHaveURL(new RegExp(`filter=store:${greatest?.[0]}`));
  await expect(page.locator(".chip")).toHaveText(new RegExp(`Store: ${greatest?.[0]}`));
});

test("the keyboard leads one step down too", async ({ page }) => {
  await open(page, `/explore?metric=revenue&${DAYS}&split=store&chart=bar`);
  const link = rows(page).first().getByRole("link").first();
  const [greatest] = await shown(page, 1);
  await link.focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`filter=store:${greatest?.[0]}`));
  await expect(rows(page)).toHaveCount(8);
  await rows(page).first().getByRole("link").first().focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`from=${daysAgo(100)}&to=${daysAgo(100)}`));
});

test("every kind of chart is drawn", async ({ page }) => {
  const views = ["chart=line", "chart=bar", "chart=area", "chart=heat", "chart=heat&split=store", "chart=bar&split=payment"];
  for (const query of views) {
    await open(page, `/explore?metric=revenue&metric=orders&${DAYS}&${query}&compare=yes`);
    await drawn(page);
    await expect(rows(page).first()).toBeVisible();
    if (hasScripts()) await expect(chart(page).locator("canvas").first()).toBeVisible();
  }
  await open(page, `/explore?${DAYS}&chart=table`);
  await expect(chart(page)).toHaveCount(0);
  await expect(rows(page)).toHaveCount(8);
});

test("an address that names no view is explained", async ({ page }) => {
  for (const [query, words] of [
    ["metric=profit", "`profit` is not a metric; there are revenue"],
    ["split=topic", "Revenue is not known by topic."],
    ["range=fortnight", "`fortnight` is not a range"],
    ["by=hour&range=1y", "more than 1000 time buckets"],
    ["filter=store", "is not a filter such as store:367."],
  ]) {
    await open(page, `/explore?${query}`);
    await expect(page.getByText(words ?? "")).toBeVisible();
  }
  await open(page, "/explore?chart=pie");
  await page.getByRole("link", { name: "Show the default view" }).click();
  await expect(rows(page).first()).toBeVisible();
  await open(page, "/explore?from=1999-01-01&to=1999-01-31");
  await expect(page.getByRole("heading", { name: "Nothing is known of this" })).toBeVisible();
});

test("a view that fails shows the reason and can be tried again", async ({ page, watched }) => {
  hydratedOnly();
  watched.expected.push(/status of 500/);
  await open(page, `/explore?${DAYS}`);
  await page.route("**/api/ui/explore?*", (route) =>
    route.fulfill({ status: 500, contentType: "application/json", body: JSON.stringify({ starting: "The lake is being opened." }) }),
  );
  await control(page, "metric").first().selectOption("orders");
  await expect(page.getByText("The lake is being opened.")).toBeVisible();
  await page.unroute("**/api/ui/explore?*");
  await page.getByRole("link", { name: "Try again" }).click();
  await expect(rows(page)).toHaveCount(8);
});

test("the focus stays where it is when something is changed", async ({ page }) => {
  hydratedOnly();
  await open(page, `/explore?${DAYS}`);
  const split = control(page, "split");
  await split.focus();
  await split.selectOption("store");
  await expect(page).toHaveURL(/split=store/);
  await expect(rows(page)).toHaveCount(64);
  await expect(split).toBeFocused();
});
