// What the specs share.

import { createHmac } from "node:crypto";
import { type Browser, type BrowserContext, type Page, type Response, expect, test as base } from "@playwright/test";

const { ADMIN_EMAIL, ADMIN_PASSWORD } = process.env;
if (!ADMIN_EMAIL || !ADMIN_PASSWORD) throw new Error("ADMIN_EMAIL and ADMIN_PASSWORD are not set: they say who logs in");

export const ADMIN = { email: ADMIN_EMAIL, password: ADMIN_PASSWORD };

type Person = { email: string; password: string };

/** Logs in as the form does; the cookies are the context's from then on. */
export const logIn = async (context: BrowserContext, baseURL: string | undefined, person: Person): Promise<void> => {
  const headers = { origin: new URL(baseURL ?? "").origin };
  const answer = await context.request.post("/login", { form: person, headers, maxRedirects: 0 });
  expect(answer.status()).toBe(303);
  expect(answer.headers()["location"], "the login is refused").toBe("/");
};

/** A test that fails on any error in the console and on any request to another host. Unless it says otherwise an administrator is signed in. */
export const test = base.extend<{ watched: Watched; signedIn: boolean; session: void }>({
  signedIn: [true, { option: true }],
  session: [
    async ({ context, baseURL, signedIn }, use) => {
      if (signedIn) await logIn(context, baseURL, ADMIN);
      await use();
    },
    { auto: true },
  ],
  watched: [
    async ({ page, baseURL }, use) => {
      const watched = new Watched();
      page.on("console", (message) => {
        if (message.type() === "error") watched.faults.push(`console: ${message.text()} (${message.location().url})`);
      });
      page.on("pageerror", (error) => watched.faults.push(`uncaught: ${error.message}`));
      page.on("request", (request) => {
        const url = new URL(request.url());
        const foreign = url.protocol.startsWith("http") && url.origin !== new URL(baseURL ?? "").origin;
        if (foreign) watched.faults.push(`request to another host: ${request.url()}`);
      });
      await use(watched);
      expect(watched.faults.filter((fault) => !watched.expected.some((pattern) => pattern.test(fault)))).toEqual([]);
    },
    { auto: true },
  ],
});

class Watched {
  readonly faults: string[] = [];
  /** Faults that a test causes on purpose, and a form that asks again who it is. */
  readonly expected: RegExp[] = [/status of 403 .*\/(admin\/\w+|keys)\/[\w-]+\)$/];
}

export { expect };

export const hasScripts = () => test.info().project.name.startsWith("hydrated");
export const hydratedOnly = () => test.skip(!hasScripts(), "needs JavaScript");

/** Pages for those who are not signed in; they have no live connection. */
export const DOORS = ["/login", "/login/code", "/setup?token=demo", "/invitation?token=demo"];

/** Opens a page and, where there are scripts, waits until it is alive. */
export const open = async (page: Page, path: string): Promise<Response | null> => {
  const isDoor = DOORS.includes(path);
  const response = await page.goto(path, isDoor ? { waitUntil: "networkidle" } : {});
  if (hasScripts() && !isDoor) await expect(connection(page)).toHaveAttribute("data-state", "connected");
  return response;
};

/** The code that an authenticator with this secret (base 32) shows now (RFC 6238). */
export const totp = (secret: string, stepsAhead = 0): string => {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + stepsAhead));
  const mac = createHmac("sha1", key).update(counter).digest();
  const place = (mac[19] ?? 0) & 15;
  return String((mac.readUInt32BE(place) & 0x7fffffff) % 1_000_000).padStart(6, "0");
};

export const connection = (page: Page) => page.locator(".connection");
export const kpi = (page: Page, metric: string) => page.locator(`[data-metric="${metric}"]`);
export const kpiValue = (page: Page, metric: string) => kpi(page, metric).locator(".kpi-value");
export const live = (page: Page, name: string) => page.locator(`[data-live="${name}"] dd`);

/** The number in a text such as "$4,596,039.58" or "155,848". */
export const number = (text: string | null): number => {
  const digits = (text ?? "").replace(/[^\d.-]/g, "");
  expect(digits, `no number in "${text}"`).toMatch(/^-?\d+(\.\d+)?$/);
  return Number(digits);
};

/** The sum of a column of the table below a chart, in hundredths, so that cents add up exactly. */
export const columnSum = async (page: Page, figure: string, column: number): Promise<number> => {
  const cells = await page.locator(`#${figure} tbody tr td:nth-of-type(${column})`).allTextContents();
  expect(cells.length, `the table of #${figure} is empty`).toBeGreaterThan(0);
  return cells.reduce((sum, cell) => sum + Math.round(number(cell) * 100), 0);
};

// People.

export const PASSWORD = "purple elephants paint fences";

let made = 0;
/** A word that no other test has, nor an earlier run. */
export const distinct = (): string => `${Date.now().toString(36)}${(made += 1)}`;
export const newAddress = (who: string) => `${who}-${distinct()}@example.com`;

export const flash = (page: Page) => page.locator(".flash");

/** A second browser, with the settings of the project. */
export const otherBrowser = async (browser: Browser): Promise<BrowserContext> => {
  const { baseURL, viewport, javaScriptEnabled, locale, timezoneId } = test.info().project.use;
  return browser.newContext({ baseURL, viewport, javaScriptEnabled: javaScriptEnabled ?? true, locale, timezoneId });
};

/** What changes rights asks once in a session who it is. */
export const confirm = async (page: Page, person: Person = ADMIN): Promise<void> => {
  await expect(page.getByRole("heading", { name: "Is it you?" })).toBeVisible();
  await page.getByLabel("Your password").fill(person.password);
  await page.getByRole("button", { name: "Go on" }).click();
};

/** The administrator invites somebody by the form, the first time in a session; answers the link that is shown once. */
export const invite = async (page: Page, name: string, email: string, role: string): Promise<string> => {
  await page.goto("/admin/users");
  const form = page.locator('form[action="/admin/users/invite"]');
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("Work email").fill(email);
  await form.getByLabel("Role").selectOption(role);
  await form.getByRole("button").click();
  await confirm(page);
  await expect(flash(page)).toContainText("works once");
  return (await flash(page).locator(".copyable-text").textContent()) ?? "";
};

/** Opens the link and chooses the password. */
export const accept = async (page: Page, link: string): Promise<void> => {
  await page.goto(new URL(link).pathname + new URL(link).search);
  await page.getByLabel("New password").fill(PASSWORD);
  await page.getByRole("button", { name: /password$/i }).last().click();
};

/** Opens the link, chooses the password, and is in. */
export const join = async (page: Page, link: string): Promise<void> => {
  await accept(page, link);
  await expect(page.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
};
