// The lake's tables, SQL over them, and the way from a number to the events behind it.

import { readFile } from "node:fs/promises";
import { expect, hydratedOnly, kpi, kpiValue, number, open, test } from "./support";

const sql = (statement: string) => `/sql?q=${encodeURIComponent(statement)}`;
const TOTAL = "SELECT sum(orders) AS orders, sum(revenue) AS revenue FROM gold.sales";

test("the tables are shown with what they are made from", async ({ page }) => {
  await open(page, "/tables");
  const lineage = page.getByRole("region", { name: "From topic to Gold" });
  await expect(lineage.getByText("transaction-events")).toBeVisible();
  await lineage.getByRole("link", { name: /\bsales\b/ }).click();
  await expect(page.getByRole("heading", { name: "gold.sales", level: 1 })).toBeVisible();
  await expect(page.getByRole("link", { name: "silver.transactions" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Rows of the table" }).locator("tbody tr").first()).toBeVisible();
});

test("a table can be shown as it was", async ({ page }) => {
  await open(page, "/tables/silver/transactions");
  const versions = page.getByRole("region", { name: "History" }).locator("tbody tr th a");
  const earlier = await versions.nth(1).textContent();
  await versions.nth(1).click();
  await expect(page.getByText(`as it was at version ${(earlier ?? "").replaceAll(",", "")}`)).toBeVisible();
  await page.getByRole("link", { name: "Show it as it is now" }).click();
  await expect(page.getByText("as it was at version")).toHaveCount(0);
});

test("what is not there is explained", async ({ page, watched }) => {
  watched.expected.push(/status of \d/);
  await open(page, "/tables/gold/nothing");
  await expect(page.getByText("there is no table gold.nothing")).toBeVisible();
  await open(page, "/tables/gold/sales?version=999999");
  await expect(page.getByText("does not exist yet")).toBeVisible();
  await open(page, "/rows?metric=weather");
  await expect(page.getByText("`weather` is not a metric")).toBeVisible();
  await open(page, "/events/transaction-events/0/999999999");
  await expect(page.getByText("the lake has no event from there")).toBeVisible();
  const asked = ["/tables/gold/nothing", "/events/transaction-events/0/999999999", "/api/ui/event?topic=transaction&partition=0&offset=999999999"];
  for (const path of asked) expect((await page.request.get(path)).status(), path).toBe(404);
});

test("a statement in the address is answered with the overview's numbers", async ({ page }) => {
  await open(page, "/?range=1y");
  const orders = number(await kpiValue(page, "orders").textContent());
  await open(page, sql(TOTAL));
  const cells = page.getByRole("region", { name: "Rows of the answer" }).locator("tbody td");
  // Orders come in all the time.
  expect(number(await cells.nth(0).textContent())).toBeGreaterThanOrEqual(orders);
  await open(page, sql("SELECT revenu FROM gold.sales"));
  await expect(page.getByRole("alert")).toContainText("No field named revenu");
  await open(page, sql("DROP TABLE gold.sales"));
  await expect(page.getByRole("alert")).toContainText("only one statement that reads");
});

test("a statement is written, run, sorted, drawn and found again", async ({ page }) => {
  hydratedOnly();
  await open(page, "/sql");
  const editor = page.getByRole("textbox", { name: "SQL statement" });
  await expect(page.locator(".editor")).toBeVisible();
  await editor.click();
  await page.keyboard.type("SELECT store_id, sum(revenue) AS total FROM gold.sales GROUP BY store_id ORDER BY total DESC LIMIT 9");
  await page.keyboard.press("Escape");
  await page.keyboard.press("ControlOrMeta+Enter");
  const answer = page.getByRole("region", { name: "Rows of the answer" });
  await expect(answer.locator("tbody tr")).toHaveCount(9);
  await expect(page).toHaveURL(/\/sql\?q=SELECT/);
  const totals = async () => (await answer.locator("tbody td:nth-of-type(2)").allTextContents()).map(number);
  const descending = await totals();
  expect([...descending].sort((one, other) => other - one)).toEqual(descending);
  await answer.getByRole("button", { name: "total" }).click();
  await answer.getByRole("button", { name: "total" }).click();
  expect(await totals()).toEqual([...descending].reverse());
  await expect(page.locator("#quick .chart")).toHaveAttribute("data-state", "ready");
  const past = page.getByRole("region", { name: "History" }).or(page.locator("section", { hasText: "History" })).last();
  await expect(past.getByRole("link", { name: /GROUP BY store_id/ }).first()).toBeVisible();
});

test("tables and columns are offered while typing", async ({ page }) => {
  hydratedOnly();
  await open(page, "/sql");
  await expect(page.locator(".editor")).toBeVisible();
  await page.getByRole("textbox", { name: "SQL statement" }).click();
  await page.keyboard.type("SELECT * FROM gold.");
  await expect(page.getByRole("option", { name: "sales", exact: true })).toBeVisible();
});

test("a running statement can be cancelled", async ({ page, watched }) => {
  hydratedOnly();
  watched.expected.push(/aborted/i);
  await open(page, "/sql");
  await expect(page.locator(".editor")).toBeVisible();
  await page.getByRole("textbox", { name: "SQL statement" }).click();
  await page.keyboard.type("SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b");
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("Cancelled.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Run" })).toBeEnabled();
});

test("an answer can be taken away as a file", async ({ page }) => {
  await open(page, sql("SELECT 1 AS one, 'a,b' AS text"));
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  const file = await download;
  expect(file.suggestedFilename()).toBe("answer.csv");
  expect(await readFile(await file.path(), "utf8")).toBe('one,text\n1,"a,b"\n');
});

test("a number leads to its rows and those to their events", async ({ page }) => {
  await open(page, "/?range=1y");
  await kpi(page, "revenue").getByRole("link", { name: "Rows behind Revenue" }).click();
  await expect(page.getByRole("heading", { name: "Rows behind a number", level: 1 })).toBeVisible();
  await page.getByRole("region", { name: "Rows behind the number" }).getByRole("link", { name: "Show" }).first().click();
  await expect(page.getByRole("heading", { name: "Event", level: 1 })).toBeVisible();
  await expect(page.locator(".payload").first()).toContainText('"event_type": "transaction.completed"');
});
