// Draws the options that the Rust side builds. An option is plain JSON, so what JSON cannot hold is named in it:
//   "var(--token)"  a colour of the style sheet, looked up again when the page changes between light and dark
//   "@name"         one of the formats below
// Nothing here evaluates text, and nothing writes text with style attributes: the content security policy allows neither.

import { BarChart, LineChart } from "echarts/charts";
import { AxisPointerComponent, GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([AxisPointerComponent, BarChart, CanvasRenderer, GridComponent, LineChart, TooltipComponent]);

const number = (options) => new Intl.NumberFormat("en-US", options);
const money = number({ style: "currency", currency: "USD" });
const moneyShort = number({ style: "currency", currency: "USD", notation: "compact", maximumFractionDigits: 1 });
const moneyWhole = number({ style: "currency", currency: "USD", maximumFractionDigits: 0 });
const count = number({ maximumFractionDigits: 2 });
const countShort = number({ notation: "compact", maximumFractionDigits: 1 });

// "$770.2" would look like a slip; below a thousand the whole amount is short enough.
const short = (value) => (Math.abs(value) < 1000 ? (Number.isInteger(value) ? moneyWhole : money) : moneyShort).format(value);

const FORMATS = {
  money: (value) => money.format(value),
  "money-short": short,
  count: (value) => count.format(value),
  "count-short": (value) => countShort.format(value),
  "label-money-short": (item) => short(item.value),
  shorten: (text) => (text.length > 20 ? `${text.slice(0, 19)}…` : text),
};

// A token's own text says both what it is in light and in dark; an element that wears it says which of them holds.
const paletteOf = (element) => {
  const probe = element.appendChild(document.createElement("span"));
  probe.hidden = true;
  const colours = new Map();
  return {
    colour: (token) => {
      if (!colours.has(token)) {
        probe.style.color = `var(${token})`;
        colours.set(token, getComputedStyle(probe).color);
      }
      return colours.get(token);
    },
    close: () => probe.remove(),
  };
};

const revive = (value, colour) => {
  if (typeof value === "string") {
    if (value.startsWith("@")) return FORMATS[value.slice(1)];
    const token = /^var\((--[\w-]+)\)$/.exec(value);
    return token ? colour(token[1]) : value;
  }
  if (Array.isArray(value)) return value.map((item) => revive(item, colour));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item, colour)]));
  }
  return value;
};

const span = (className, text) => {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
};

// The tooltip as elements with classes; the library's own would be text with style attributes.
const tooltip = (option) => (items) => {
  const shown = Array.isArray(items) ? items : [items];
  const box = document.createElement("div");
  box.append(span("chart-tooltip-title", shown[0]?.name ?? ""));
  for (const item of shown) {
    const format = option.series[item.seriesIndex]?.tooltip?.valueFormatter ?? String;
    const row = document.createElement("div");
    row.append(span("", item.seriesName), span("chart-tooltip-value", item.value == null ? "–" : format(item.value)));
    box.append(row);
  }
  return box;
};

// Data are data: only what the option says outside of them is revived.
const withoutData = (key, item) => (key === "data" ? undefined : item);

const build = (json, element) => {
  const { fontFamily } = getComputedStyle(element);
  const { colour, close } = paletteOf(element.parentElement);
  const plain = JSON.parse(json);
  const option = revive(JSON.parse(JSON.stringify(plain, withoutData)), colour);
  for (const part of ["series", "xAxis", "yAxis"]) {
    const list = [plain[part] ?? []].flat();
    [option[part] ?? []].flat().forEach((target, index) => {
      if (list[index].data) target.data = list[index].data;
    });
  }
  const text = { color: colour("--text-muted"), fontFamily };
  for (const axis of [option.xAxis, option.yAxis].flat().filter(Boolean)) {
    axis.axisLabel = { ...text, hideOverlap: true, ...axis.axisLabel };
    axis.nameTextStyle = { ...text, align: "right", ...axis.nameTextStyle };
    axis.axisLine ??= { lineStyle: { color: colour("--line") } };
  }
  option.textStyle = text;
  option.backgroundColor = "transparent";
  option.animation = false;
  option.tooltip = {
    ...option.tooltip,
    confine: true,
    className: "chart-tooltip",
    backgroundColor: colour("--surface"),
    borderColor: colour("--line-strong"),
    textStyle: { color: colour("--text"), fontFamily },
    formatter: tooltip(option),
  };
  close();
  return option;
};

/** Draws into the element; the answer updates or removes the chart. */
export const mount = (element, json) => {
  const chart = init(element);
  const draw = () => chart.setOption(build(json, element), { notMerge: true, lazyUpdate: false });
  draw();
  const observer = new ResizeObserver(() => chart.resize());
  observer.observe(element);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);
  return {
    update: (next) => {
      json = next;
      draw();
    },
    dispose: () => {
      observer.disconnect();
      dark.removeEventListener("change", draw);
      chart.dispose();
    },
  };
};
