import { expect, hasScripts, hydratedOnly, number, open, test } from "./support";

test("the flow shows every stage with its state", async ({ page }) => {
  await open(page, "/pipeline");
  const stations = page.locator(".flow-station");
  await expect(stations.locator("h3")).toHaveText([
    "Producers",
    "Kafka",
    "Redis buffer",
    "Bronze",
    "Silver",
    "Gold",
    "Dashboard",
  ]);
  for (const state of await stations.locator(".state").all()) await expect(state).toHaveText(/\w+/);
  await expect(stations.filter({ hasText: "Kafka" }).locator("dl")).toContainText("Lag");
  await expect(stations.filter({ hasText: "Redis buffer" }).locator("dl")).toContainText("Waiting");
  await expect(page.getByText("Dead letters").first()).toBeVisible();
});

test("every topic and every layer of the lake is listed", async ({ page }) => {
  await open(page, "/pipeline");
  const topics = page.getByRole("region", { name: "Topics" }).locator("tbody th");
  for (const topic of ["transaction-events", "customer-events", "product-events"]) {
    await expect(topics.filter({ hasText: topic })).toHaveCount(1);
  }
  const lake = page.getByRole("region", { name: "Tables of the lake" }).last();
  for (const layer of ["bronze", "silver", "gold"]) {
    await expect(lake.locator(`[data-layer="${layer}"]`).first()).toBeVisible();
  }
  const rows = await lake.locator("tbody td:nth-of-type(2)").allTextContents();
  expect(Math.max(...rows.map(number))).toBeGreaterThan(0);
});

test("the components are those of the health check", async ({ page, request }) => {
  await open(page, "/pipeline");
  const health = await (await request.get("/api/v1/health")).json();
  expect(health.components.length).toBeGreaterThan(0);
  await expect(page.locator(".components li")).toHaveCount(health.components.length);
});

test("tables sort by their headers", async ({ page }) => {
  hydratedOnly();
  await open(page, "/pipeline");
  const lake = page.getByRole("region", { name: "Tables of the lake" }).last();
  const sizes = async () => (await lake.locator("tbody td:nth-of-type(2)").allTextContents()).map(number);
  const header = lake.getByRole("columnheader", { name: "Rows" });
  await expect(header).not.toHaveAttribute("aria-sort", /.+/);
  await header.getByRole("button").click();
  await expect(header).toHaveAttribute("aria-sort", "descending");
  const falling = await sizes();
  expect(falling).toEqual([...falling].sort((one, other) => other - one));
  expect(falling[0]).toBeGreaterThan(falling[falling.length - 1] ?? Infinity);
  await header.getByRole("button").click();
  await expect(header).toHaveAttribute("aria-sort", "ascending");
  const rising = await sizes();
  expect(rising).toEqual([...rising].sort((one, other) => one - other));
});

test("the way from page to page works, with the menu where it is narrow", async ({ page }) => {
  await open(page, "/");
  const narrow = (page.viewportSize()?.width ?? 0) < 768;
  if (narrow) await page.locator(".menu-button").click();
  await page.getByRole("link", { name: "Pipeline" }).click();
  await expect(page).toHaveURL("/pipeline");
  await expect(page.getByRole("heading", { name: "Pipeline", level: 1 })).toBeVisible();
  await expect(page).toHaveTitle("Pipeline · StreamlineHub");
  await expect(page.locator(".flow-station")).toHaveCount(7);
  if (narrow && hasScripts()) await expect(page.locator(".menu")).not.toHaveAttribute("open", /.*/);
});

test("the books balance to the event", async ({ page }) => {
  await open(page, "/pipeline");
  const books = page.locator("section", { has: page.getByRole("heading", { name: "The books" }) });
  await expect(books.getByRole("status")).toContainText("Balanced to the event");
  const ledger = await (await page.request.get("/api/v1/ledger")).json();
  expect(ledger.discrepancies).toEqual([]);
  const topics = ledger.topics.filter((topic: { gold: number }) => topic.gold > 0);
  expect(topics.length).toBeGreaterThan(2);
  for (const { topic } of topics) {
    const row = books.locator("tr.books-topic", { has: page.getByRole("rowheader", { name: topic, exact: true }) });
    const [, , read, bronze, deadLetters, noEvent, silver, duplicates, rejected, setAside] = (await row.locator("td").allTextContents()).map(number);
    expect(read, topic).toBe((bronze ?? 0) + (deadLetters ?? 0) + (noEvent ?? 0));
    expect(silver, topic).toBeGreaterThan(0);
    expect((silver ?? 0) + (duplicates ?? 0) + (rejected ?? 0) + (setAside ?? 0), topic).toBeLessThanOrEqual(bronze ?? 0);
    const partitions = row.locator("xpath=..").getByRole("rowheader", { name: /^Partition \d+$/ });
    await expect(partitions).toHaveCount(ledger.partitions.filter((partition: { topic: string }) => partition.topic === topic).length);
  }
});

test("a book that does not balance is an alarm that says what to do", async ({ page }) => {
  hydratedOnly();
  await page.route("**/api/ui/ledger*", async (route) => {
    const answer = await route.fetch();
    const ledger = await answer.json();
    const advice = "Somebody other than the pipeline changed the table.";
    ledger.discrepancies = [{ book: "rows", place: "bronze.customer_events", off_by: -3, text: "It has 7 rows, but 10 were written.", advice }];
    await route.fulfill({ response: answer, json: ledger });
  });
  await open(page, "/pipeline");
  const alarm = page.locator("section", { has: page.getByRole("heading", { name: "The books" }) }).getByRole("status");
  await expect(alarm).toContainText("The books do not balance");
  await expect(alarm.getByRole("listitem")).toHaveText(
    "bronze.customer_events is off by -3: It has 7 rows, but 10 were written. Somebody other than the pipeline changed the table.",
  );
});
