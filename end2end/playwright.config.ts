// The browser tests. They need a running server: BASE_URL=http://127.0.0.1:3000 npx playwright test -c end2end
//
// Every page is visited with and without JavaScript, wide and narrow. What needs scripts says so with `hydratedOnly`.

import { defineConfig } from "@playwright/test";

const baseURL = process.env.BASE_URL;
if (!baseURL) throw new Error("BASE_URL is not set: it says where the server under test listens, such as http://127.0.0.1:3000");

const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };

export default defineConfig({
  testDir: ".",
  outputDir: "../test-results",
  timeout: 45_000,
  expect: { timeout: 15_000 },
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  reporter: [["list"]],
  use: {
    baseURL,
    locale: "en-US",
    timezoneId: "UTC",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "hydrated-wide", use: { viewport: WIDE } },
    { name: "hydrated-narrow", use: { viewport: NARROW } },
    { name: "no-script-wide", use: { viewport: WIDE, javaScriptEnabled: false } },
    // What pages do without scripts does not depend on their width; only how they look does.
    { name: "no-script-narrow", testMatch: "pages.spec.ts", use: { viewport: NARROW, javaScriptEnabled: false } },
  ],
});
