import { columnSum, connection, expect, hasScripts, hydratedOnly, kpi, kpiValue, live, number, open, test } from "./support";

const YEAR = "/?range=1y";

test("cards, chart and rankings show the same numbers", async ({ page }) => {
  await open(page, YEAR);
  // Totals may grow while the test looks: card and table are read again until they agree.
  await expect(async () => {
    const revenue = Math.round(number(await kpiValue(page, "revenue").textContent()) * 100);
    const orders = number(await kpiValue(page, "orders").textContent()) * 100;
    expect(revenue).toBeGreaterThan(0);
    expect(await columnSum(page, "revenue", 1)).toBe(revenue);
    expect(await columnSum(page, "revenue", 2)).toBe(orders);
    expect(await columnSum(page, "departments", 1)).toBeGreaterThan(0);
    expect(await columnSum(page, "departments", 1)).toBeLessThanOrEqual(revenue);
    expect(await columnSum(page, "stores", 1)).toBeGreaterThan(0);
    expect(await page.locator("#products tbody tr").count()).toBeGreaterThan(0);
  }).toPass();
});

test("the year shows the totals of the data set", async ({ page }) => {
  const expected = { orders: process.env.EXPECT_ORDERS, revenue: process.env.EXPECT_REVENUE };
  test.skip(!expected.orders && !expected.revenue, "EXPECT_ORDERS and EXPECT_REVENUE say what to compare with");
  await open(page, YEAR);
  if (expected.orders) expect(number(await kpiValue(page, "orders").textContent())).toBe(Number(expected.orders));
  if (expected.revenue) expect(number(await kpiValue(page, "revenue").textContent())).toBe(Number(expected.revenue));
});

test("a preset changes the address and the numbers", async ({ page }) => {
  await open(page, YEAR);
  const year = number(await kpiValue(page, "revenue").textContent());
  await page.getByRole("link", { name: "30 days" }).click();
  await expect(page).toHaveURL(/\?range=30d$/);
  await expect(page.getByRole("link", { name: "30 days" })).toHaveAttribute("aria-current", "true");
  await expect(page.getByRole("link", { name: "1 year" })).not.toHaveAttribute("aria-current", "true");
  await expect(async () => expect(number(await kpiValue(page, "revenue").textContent())).toBeLessThan(year)).toPass();
  await expect(kpi(page, "revenue").locator(".kpi-change")).toContainText("in the period before");
  await page.goBack();
  await expect(page).toHaveURL(/\?range=1y$/);
  await expect(async () => expect(number(await kpiValue(page, "revenue").textContent())).toBeGreaterThanOrEqual(year)).toPass();
});

test("a custom range can be asked for", async ({ page }) => {
  await open(page, YEAR);
  const year = number(await kpiValue(page, "revenue").textContent());
  // A week in the middle of the year that is shown.
  const last = new Date(Date.now() - 100 * 86_400_000).toISOString().slice(0, 10);
  const first = new Date(Date.now() - 106 * 86_400_000).toISOString().slice(0, 10);
  await page.getByLabel("From").fill(first);
  await page.getByLabel("to", { exact: true }).fill(last);
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(`/?from=${first}&to=${last}`);
  await expect(page.locator("#revenue tbody tr")).toHaveCount(7);
  expect(number(await kpiValue(page, "revenue").textContent())).toBeLessThan(year);
  await expect(page.getByLabel("From")).toHaveValue(first);
});

test("a range that is none is explained", async ({ page }) => {
  for (const [query, words] of [
    ["range=fortnight", "`fortnight` is not a range"],
    ["from=2025-02-30&to=2025-03-01", "`2025-02-30` is not a date"],
    ["from=2025-03-02&to=2025-03-01", "after its end"],
    ["from=2025-03-02", "both a first and a last day"],
  ]) {
    await open(page, `/?${query}`);
    await expect(page.getByText(words)).toBeVisible();
  }
  await page.getByRole("link", { name: "Show the default range" }).click();
  await expect(kpiValue(page, "revenue")).toBeVisible();
});

test("a time without orders is said to be empty", async ({ page }) => {
  await open(page, "/?from=1999-01-01&to=1999-01-31");
  await expect(page.getByRole("heading", { name: "Nothing was sold in this time" })).toBeVisible();
});

test("charts are drawn, and their data can be shown", async ({ page }) => {
  await open(page, YEAR);
  for (const id of ["revenue", "departments", "stores"]) {
    const figure = page.locator(`#${id}`);
    if (hasScripts()) {
      await expect(figure.locator(".chart")).toHaveAttribute("data-state", "ready");
      await expect(figure.locator("canvas")).toBeVisible();
    } else {
      await expect(figure.locator(".chart-fallback")).toBeVisible();
    }
    await expect(figure.locator("tbody")).toBeHidden();
    await figure.getByText("Show the data").click();
    await expect(figure.locator("tbody tr").first()).toBeVisible();
  }
});

test("without the chart library the drawings and the tables stay", async ({ page, watched }) => {
  hydratedOnly();
  watched.expected.push(/charts\.js/);
  await page.route("**/pkg/charts.js", (route) => route.abort());
  await open(page, YEAR);
  await expect(page.locator("#revenue").getByText("could not be loaded")).toBeVisible();
  await expect(page.locator("#revenue .chart-fallback")).toBeVisible();
  expect(await columnSum(page, "revenue", 1)).toBeGreaterThan(0);
});

test("the live numbers are there at once and move by themselves", async ({ page }) => {
  await open(page, "/");
  const names = ["events_per_second", "orders_last_minute", "revenue_last_minute", "lag", "event_to_gold", "gold_age"];
  for (const name of names) await expect(live(page, name)).not.toBeEmpty();
  if (!hasScripts()) return;
  const all = async () => (await page.locator(".live-value dd").allTextContents()).join(" ");
  const before = await all();
  await expect.poll(all).not.toBe(before);
});

test("a broken connection is shown and mended", async ({ page, watched }) => {
  hydratedOnly();
  watched.expected.push(/WebSocket|Connection closed|ERR_/i);
  let cut: (() => Promise<void>) | undefined;
  let refused = false;
  await page.routeWebSocket(/\/api\/ui\/live$/, (socket) => {
    if (refused) {
      void socket.close();
      return;
    }
    socket.connectToServer();
    cut = () => socket.close();
  });
  await open(page, "/");
  const before = await live(page, "events_per_second").textContent();
  refused = true;
  await cut?.();
  await expect(connection(page)).toHaveText("Reconnecting");
  // The last numbers stay on the screen.
  expect(number(before)).not.toBeNaN();
  await expect(live(page, "events_per_second")).not.toHaveText("–");
  refused = false;
  await expect(connection(page)).toHaveText("Live");
});

test("a silent connection is called stale", async ({ page }) => {
  hydratedOnly();
  let silent = false;
  await page.routeWebSocket(/\/api\/ui\/live$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      if (!silent) socket.send(message);
    });
  });
  await open(page, "/");
  silent = true;
  await expect(connection(page)).toHaveText("Stale");
  silent = false;
  await expect(connection(page)).toHaveText("Live");
});

test("going offline is noticed at once", async ({ page, context, watched }) => {
  hydratedOnly();
  watched.expected.push(/WebSocket|ERR_INTERNET_DISCONNECTED|Connection closed/i);
  await open(page, "/");
  await context.setOffline(true);
  await expect(connection(page)).toHaveText("Reconnecting");
  await context.setOffline(false);
  await expect(connection(page)).toHaveText("Live");
});

test("a failing server keeps the old numbers and says so", async ({ page, watched }) => {
  hydratedOnly();
  watched.expected.push(/status of 500/);
  await open(page, YEAR);
  await page.route("**/api/ui/overview?*", (route) =>
    route.fulfill({ status: 500, contentType: "application/json", body: JSON.stringify({ failed: "It is broken." }) }),
  );
  // Becoming visible again asks at once.
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
  await expect(page.getByText("These numbers could not be brought up to date.")).toBeVisible();
  expect(number(await kpiValue(page, "revenue").textContent())).toBeGreaterThan(0);
  await page.unroute("**/api/ui/overview?*");
  await expect(page.getByText("These numbers could not be brought up to date.")).toBeHidden();
});

test("a new range that fails shows the reason and can be tried again", async ({ page, watched }) => {
  hydratedOnly();
  watched.expected.push(/status of 500/);
  await open(page, YEAR);
  await page.route("**/api/ui/overview?*", (route) =>
    route.fulfill({ status: 500, contentType: "application/json", body: JSON.stringify({ starting: "The lake is being opened." }) }),
  );
  await page.getByRole("link", { name: "7 days" }).click();
  await expect(page.getByRole("heading", { name: "Still starting" })).toBeVisible();
  await expect(page.getByText("The lake is being opened.")).toBeVisible();
  await page.unroute("**/api/ui/overview?*");
  await page.getByRole("link", { name: "Try again" }).click();
  await expect(kpiValue(page, "revenue")).toBeVisible();
});
