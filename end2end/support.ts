// What the specs share.

import { type Page, type Response, expect, test as base } from "@playwright/test";

/** A test that fails on any error in the console and on any request to another host. */
export const test = base.extend<{ watched: Watched }>({
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
  /** Faults that a test causes on purpose. */
  readonly expected: RegExp[] = [];
}

export { expect };

export const hasScripts = () => test.info().project.name.startsWith("hydrated");
export const hydratedOnly = () => test.skip(!hasScripts(), "needs JavaScript");

/** Opens a page and, where there are scripts, waits until it is alive. */
export const open = async (page: Page, path: string): Promise<Response | null> => {
  const response = await page.goto(path);
  if (hasScripts()) await expect(connection(page)).toHaveAttribute("data-state", "connected");
  return response;
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
