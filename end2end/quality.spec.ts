import { distinct, expect, flash, open, test } from "./support";

/** An event of a currency that does not exist, which the rules put aside; answers its letter's address. */
const putAside = async (page: import("@playwright/test").Page, transaction: string): Promise<string> => {
  const event = {
    event_id: crypto.randomUUID(),
    event_type: "transaction.completed",
    occurred_at: new Date().toISOString(),
    customer_id: "quality",
    transaction_id: transaction,
    store_id: "quality",
    amount: "1.00",
    currency: "QQQ",
    lines: [{ product_id: "quality", quantity: 1, amount: "1.00" }],
  };
  const sent = await page.request.post("/api/v1/events/transaction-events", { data: event, headers: { origin: new URL(page.url()).origin } });
  expect(sent.status()).toBe(200);
  const [{ partition, offset }] = (await sent.json()).results;
  const address = `/quality/letters/transaction-events/${partition}/${offset}`;
  await expect.poll(async () => (await page.request.get(`/api/v1${address}`)).status(), { timeout: 60_000 }).toBe(200);
  return address;
};

test("the rules are listed with what they found", async ({ page }) => {
  await open(page, "/quality");
  await expect(page.getByRole("heading", { name: "Quality", level: 1 })).toBeVisible();
  const rule = page.locator('[data-rule="quantity_above_zero"]');
  await expect(rule).toContainText("quantity > 0");
  await expect(rule.locator(".state")).toHaveText(/%|–/);
  await expect(page.getByRole("region", { name: "Freshness" }).first()).toContainText("silver.transactions");
  await page.getByRole("link", { name: "7 days" }).click();
  await expect(page).toHaveURL("/quality?range=7d");
  await expect(page.getByRole("link", { name: "7 days" })).toHaveAttribute("aria-current", "true");
});

test("a letter that was put aside is found, changed, replayed, and then in the lake", async ({ page, watched }) => {
  // Until Bronze has the event, its page says that there is none.
  watched.expected.push(/status of (404|500).*event/, /status of 404/);
  await open(page, "/quality");
  const transaction = `quality-${distinct()}`;
  const letter = await putAside(page, transaction);
  await page.goto("/quality/letters?stage=quality&rule=currency_known");
  await page.locator(`a[href="${letter}"]`).click();
  await expect(page.locator(".remark").first()).toContainText("currency_known: currency = QQQ");
  const content = page.getByLabel("Content to send");
  await content.fill((await content.inputValue()).replace("QQQ", "USD"));
  await page.getByRole("button", { name: "Replay the changed content" }).click();
  await expect(flash(page)).toContainText("It was sent changed to partition");
  const step = page.getByRole("region", { name: "Replays" }).locator("tbody tr").first();
  await expect(step).toContainText("Sent");
  await step.getByRole("link").click();
  const reload = async () => {
    await page.reload();
    return (await page.locator("pre").allTextContents()).join();
  };
  await expect.poll(reload, { timeout: 30_000 }).toContain(transaction);
  // Once more only for who says that it is meant.
  await page.goto(letter);
  await page.getByRole("button", { name: "Replay", exact: true }).click();
  await expect(page).toHaveURL(letter);
  await expect(page.getByRole("region", { name: "Replays" }).locator("tbody tr")).toHaveCount(1);
});

test("a letter that is not there is told so", async ({ page, watched }) => {
  watched.expected.push(/404/);
  const response = await open(page, "/quality/letters/transaction-events/0/999999999");
  expect(response?.status()).toBe(404);
  await expect(page.getByRole("heading", { name: "There is no such letter" })).toBeVisible();
});
