// People and permissions: how somebody gets in, what they may do, and what is known of it afterwards.

import type { Page } from "@playwright/test";
import {
  ADMIN,
  PASSWORD,
  accept,
  confirm,
  distinct,
  expect,
  flash,
  hasScripts,
  invite,
  join,
  logIn,
  newAddress,
  otherBrowser,
  test,
  totp,
} from "./support";

/** The live socket ends with the session; the browser's half of it says so on the console. */
const SOCKET_CLOSED = /WebSocket Closed/;

const fillLogin = async (page: Page, email: string, password: string): Promise<void> => {
  await page.getByLabel("Work email").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
};

const openUserMenu = async (page: Page): Promise<void> => page.locator(".topbar summary").last().click();

test.describe("at the door", () => {
  test.use({ signedIn: false });

  test("somebody who is not signed in is led to the login and back", async ({ page, watched }) => {
    watched.expected.push(SOCKET_CLOSED);
    await page.goto("/pipeline?x=1");
    await expect(page).toHaveURL("/login?next=%2Fpipeline%3Fx%3D1");
    await fillLogin(page, ADMIN.email, "not the password");
    await expect(flash(page)).toHaveText(/The e-mail address or the password is wrong/);
    await expect(flash(page)).toHaveAttribute("role", "alert");
    await fillLogin(page, ADMIN.email, ADMIN.password);
    await expect(page).toHaveURL("/pipeline?x=1");
    await openUserMenu(page);
    await page.getByRole("button", { name: "Log out" }).click();
    await expect(page).toHaveURL("/login");
    await expect(flash(page)).toContainText("You are logged out");
    await page.goBack();
    await page.goto("/");
    await expect(page).toHaveURL("/login");
  });

  test("an address that leads away from here leads to the start page", async ({ page }) => {
    await page.goto("/login?next=//example.org/");
    await fillLogin(page, ADMIN.email, ADMIN.password);
    await expect(page).toHaveURL("/");
  });

  test("a link that is not good any more says so", async ({ page }) => {
    await accept(page, "http://any/invitation?token=made-up");
    await expect(flash(page)).toContainText("This link is not good any more");
    await page.goto("/setup?token=made-up");
    await page.getByLabel("Your name").fill("Eve");
    await page.getByLabel("Work email").fill("eve@example.com");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.locator('form[action="/setup"] button[type="submit"]').click();
    await expect(flash(page)).toContainText("This link is not good any more");
  });

  test("the first administrator sets up their account with the link", async ({ page }) => {
    const link = process.env.SETUP_LINK;
    test.skip(!link, "SETUP_LINK is the link that a server without users prints");
    await page.goto(link ?? "");
    await page.getByLabel("Your name").fill("First Administrator");
    await page.getByLabel("Work email").fill("first@example.com");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.locator('form[action="/setup"] button[type="submit"]').click();
    await expect(page.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
    await page.goto("/admin/users");
    await expect(page.getByRole("row", { name: /first@example.com/ })).toContainText("admin");
  });
});

test("an invited person gets in, and what changes their rights counts at once", async ({ page, browser, watched }) => {
  watched.expected.push(/status of 403/);
  const email = newAddress("ann");
  const link = await invite(page, "Ann Example", email, "viewer");
  const context = await otherBrowser(browser);
  const ann = await context.newPage();
  await ann.goto(new URL(link).pathname + new URL(link).search);
  await ann.getByLabel("New password").fill("password1234");
  await ann.locator('form[action="/invitation"] button[type="submit"]').click();
  await expect(flash(ann)).toContainText("tried first");
  await join(ann, link);
  await expect(ann.getByRole("link", { name: "Users" })).toHaveCount(0);
  const refused = await ann.goto("/pipeline");
  expect(refused?.status()).toBe(403);
  await expect(ann.getByText("This is not for you to see").first()).toBeVisible();

  const row = page.getByRole("row", { name: new RegExp(email) });
  await page.goto("/admin/users");
  await row.getByLabel("Role of Ann Example", { exact: true }).selectOption("analyst");
  await row.getByRole("button", { name: "Change the role of Ann Example" }).click();
  await expect(flash(page)).toContainText("The role is changed");
  const allowed = await ann.goto("/pipeline");
  expect(allowed?.status()).toBe(200);

  await page.goto("/admin/users");
  await row.getByText("Actions").last().click();
  await row.getByRole("button", { name: "Disable Ann Example" }).click();
  await expect(row).toContainText("Disabled");
  // With scripts the open page notices by itself.
  if (!hasScripts()) await ann.reload();
  await expect(ann).toHaveURL(/\/login/);
  await fillLogin(ann, email, PASSWORD);
  await expect(flash(ann)).toContainText("wrong");
  await context.close();
});

test("a second factor is set up, asked for, and replaced by a recovery code", async ({ page, browser }) => {
  test.slow();
  const email = newAddress("bob");
  const link = await invite(page, "Bob Example", email, "viewer");
  const context = await otherBrowser(browser);
  const bob = await context.newPage();
  await join(bob, link);
  await bob.goto("/profile");
  await bob.getByLabel("Your password to set it up", { exact: true }).fill(PASSWORD);
  await bob.getByRole("button", { name: "Set up a second factor" }).click();
  await expect(bob.getByAltText("QR code of the key below")).toBeVisible();
  const secret = ((await bob.locator(".steps .copyable-text").textContent()) ?? "").replaceAll(/\s/g, "");
  const confirm = async (code: string) => {
    await bob.getByLabel("Enter the six digits that the app shows").fill(code);
    await bob.getByRole("button", { name: "Turn it on" }).click();
  };
  await confirm("000000");
  await expect(flash(bob)).toContainText("That code is not right");
  await confirm(totp(secret, -1));
  await expect(flash(bob)).toContainText("The second factor is on");
  const codes = ((await flash(bob).locator(".copyable-text").textContent()) ?? "").split("\n");
  expect(codes).toHaveLength(10);

  const enter = async (code: string) => {
    await context.clearCookies();
    await bob.goto("/login");
    await fillLogin(bob, email, PASSWORD);
    await expect(bob).toHaveURL("/login/code");
    await bob.getByLabel("Code").fill(code);
    await bob.locator('form[action="/login/code"] button[type="submit"]').click();
  };
  await enter("123456");
  await expect(flash(bob)).toContainText("That code is not right");
  await enter(totp(secret, 1));
  await expect(bob.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
  await enter(codes[0] ?? "");
  await expect(bob.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
  await bob.goto("/profile");
  await expect(bob.getByText("Recovery codes left: 9")).toBeVisible();
  await context.close();
});

test("too many wrong passwords have to wait, and an administrator shortens the wait", async ({ page, browser }) => {
  test.slow();
  const email = newAddress("cat");
  const link = await invite(page, "Cat Example", email, "viewer");
  const context = await otherBrowser(browser);
  const cat = await context.newPage();
  await join(cat, link);
  await context.clearCookies();
  await cat.goto("/login");
  await expect(async () => {
    await fillLogin(cat, email, "not the password");
    await expect(flash(cat)).toContainText("Too many attempts", { timeout: 1000 });
  }).toPass();
  await page.goto("/admin/users");
  const row = page.getByRole("row", { name: new RegExp(email) });
  await expect(async () => {
    // The wait may be over before we look.
    await fillLogin(cat, email, "not the password");
    await page.reload();
    await expect(row).toContainText("Locked until", { timeout: 500 });
  }).toPass();
  await row.getByText("Actions").last().click();
  await row.getByRole("button", { name: "Unlock Cat Example" }).click();
  await expect(flash(page)).toContainText("may try again");
  await fillLogin(cat, email, PASSWORD);
  await expect(cat.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
  await context.close();
});

test("a person ends the sessions of their other browsers", async ({ page, browser, baseURL }) => {
  const email = newAddress("dan");
  const link = await invite(page, "Dan Example", email, "viewer");
  const [first, second] = [await otherBrowser(browser), await otherBrowser(browser)];
  const dan = await first.newPage();
  await join(dan, link);
  await logIn(second, baseURL, { email, password: PASSWORD });
  const elsewhere = await second.newPage();
  await elsewhere.goto("/profile");
  await expect(elsewhere.getByRole("heading", { name: "Profile", level: 1 })).toBeVisible();
  await dan.goto("/profile");
  await dan.getByRole("button", { name: "End all others" }).click();
  await expect(flash(dan)).toContainText("1 other sessions have ended");
  // With scripts the open page notices by itself, and would not be led anywhere else meanwhile.
  if (!hasScripts()) await elsewhere.goto("/profile");
  await expect(elsewhere).toHaveURL(/\/login/);
  await dan.goto("/profile");
  await expect(dan.getByRole("heading", { name: "Profile", level: 1 })).toBeVisible();
  await first.close();
  await second.close();
});

test("a role of one's own and a key are made, used and taken back", async ({ page, request }) => {
  const role = `auditor-${distinct()}`;
  await page.goto("/admin/roles");
  await page.locator("#role-name").fill(role);
  await page.locator("#role-description").fill("Reads <b>the</b> audit log");
  const form = page.locator("form").filter({ has: page.locator("#role-name") });
  await form.getByLabel("audit:read").check();
  await form.getByRole("button", { name: "Make the role" }).click();
  await confirm(page, { ...ADMIN, password: "not the password" });
  await expect(page.getByRole("alert")).toHaveText("The password is wrong.");
  await confirm(page);
  await expect(flash(page)).toContainText("The role is saved");
  await expect(page.getByText("Reads <b>the</b> audit log").first()).toBeVisible();
  await page.locator("summary").filter({ hasText: role }).click();
  await page.getByRole("button", { name: `Delete ${role}` }).click();
  await expect(flash(page)).toContainText("The role is deleted");

  const name = `report ${role}`;
  await page.goto("/keys");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("metrics:read").check();
  await page.locator('form[action="/keys/create"] button[type="submit"]').click();
  const key = (await flash(page).locator(".copyable-text").textContent()) ?? "";
  expect(key).toMatch(/^slh_[\w-]{43}$/);
  const headers = { authorization: `Bearer ${key}` };
  const me = await request.get("/api/v1/auth/me", { headers });
  expect((await me.json()).permissions).toEqual(["metrics:read"]);
  expect((await request.get("/api/v1/audit.csv", { headers })).status()).toBe(403);
  await page.goto("/keys");
  expect(await page.content()).not.toContain(key);
  await page.getByRole("button", { name: `Revoke ${name}` }).click();
  await expect(flash(page)).toContainText("The key is revoked");
  expect((await request.get("/api/v1/auth/me", { headers })).status()).toBe(401);
});

test("the audit log tells what happened, and can be taken along", async ({ page, context, baseURL }) => {
  const email = newAddress("fay");
  await invite(page, "Fay Example", email, "operator");
  const headers = { origin: new URL(baseURL ?? "").origin };
  await context.request.post("/login", { form: { email, password: "=1+1" }, headers, maxRedirects: 0 });
  await page.goto("/admin/audit");
  await page.getByLabel("What").fill(email);
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`what=${encodeURIComponent(email)}`));
  const rows = page.locator("tbody tr");
  await expect(rows).toHaveCount(2);
  await expect(rows.nth(0)).toContainText("login");
  await expect(rows.nth(0)).toContainText("Failure");
  await expect(rows.nth(1)).toContainText("user.invite");
  await expect(rows.nth(1)).toContainText(ADMIN.email);
  const href = await page.getByRole("link", { name: "Export as CSV" }).getAttribute("href");
  const csv = await context.request.get(href ?? "");
  expect(csv.headers()["content-type"]).toContain("text/csv");
  expect((await csv.text()).trim().split("\n")).toHaveLength(3);
});

test("the theme is kept", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/profile");
  await page.getByRole("main").getByRole("button", { name: "Dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.goto("/admin/users");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});
