// Draws the options that the Rust side builds. An option is plain JSON, so what JSON cannot hold is named in it:
//   "var(--token)"  a colour of the style sheet, looked up again when the page changes between light and dark
//   "@name"         one of the formats below
// Names are data and stay as they are. Beside the option stand `rows` (for each item the row of the table below that it is in,
// whose link a click follows) and `caption` (what is written above a picture that is saved).
// Nothing here evaluates text, and nothing writes text with style attributes: the content security policy allows neither.

import { BarChart, HeatmapChart, LineChart } from "echarts/charts";
import {
  AxisPointerComponent,
  GridComponent,
  LegendComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([
  AxisPointerComponent,
  BarChart,
  CanvasRenderer,
  GridComponent,
  HeatmapChart,
  LegendComponent,
  LineChart,
  TooltipComponent,
  VisualMapContinuousComponent,
]);

const number = (options) => new Intl.NumberFormat("en-US", options);
const money = number({ style: "currency", currency: "USD" });
const moneyShort = number({ style: "currency", currency: "USD", notation: "compact", maximumFractionDigits: 1 });
const moneyWhole = number({ style: "currency", currency: "USD", maximumFractionDigits: 0 });
const count = number({ maximumFractionDigits: 2 });
const percent = number({ maximumFractionDigits: 3 });
const countShort = number({ notation: "compact", maximumFractionDigits: 1 });

// "$770.2" would look like a slip; below a thousand the whole amount is short enough.
const short = (value) => (Math.abs(value) < 1000 ? (Number.isInteger(value) ? moneyWhole : money) : moneyShort).format(value);

const FORMATS = {
  money: (value) => money.format(value),
  "money-short": short,
  count: (value) => count.format(value),
  percent: (value) => `${percent.format(value)}%`,
  "count-short": (value) => countShort.format(value),
  "label-money-short": (item) => (item.value == null ? "–" : short(item.value)),
  "label-count-short": (item) => (item.value == null ? "–" : countShort.format(item.value)),
  shorten: (text) => {
    // What stands in brackets at the end tells one product from another of the same name.
    const end = text.length > 20 ? (/ \([^()]{1,12}\)$/.exec(text)?.[0] ?? "") : "";
    return text.length > 20 ? `${text.slice(0, 19 - end.length)}…${end}` : text;
  },
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

const list = (part) => [part ?? []].flat();

// What an item is about: a category, or for a field both of its categories.
const titleOf = (option, item) => {
  if (!Array.isArray(item.value)) return item.name;
  const { xAxisIndex = 0, yAxisIndex = 0 } = option.series[item.seriesIndex];
  const [across, down] = item.value;
  return `${list(option.xAxis)[xAxisIndex].data[across]}, ${list(option.yAxis)[yAxisIndex].data[down]}`;
};

// The tooltip as elements with classes; the library's own would be text with style attributes.
const tooltip = (option) => (items) => {
  const shown = list(items);
  const box = document.createElement("div");
  box.append(span("chart-tooltip-title", shown[0] ? titleOf(option, shown[0]) : ""));
  const panels = list(option.yAxis);
  const panelOf = (item) => panels[option.series[item.seriesIndex]?.yAxisIndex ?? 0]?.name;
  let panel;
  for (const item of shown) {
    // Several panels are told apart by their names, where the series do not have the same.
    if (panels.length > 1 && panelOf(item) !== panel && panelOf(item) !== item.seriesName) {
      panel = panelOf(item);
      box.append(span("chart-tooltip-panel", panel));
    }
    const format = option.series[item.seriesIndex]?.tooltip?.valueFormatter ?? String;
    const value = Array.isArray(item.value) ? item.value[2] : item.value;
    const isBefore = item.seriesId?.startsWith("before ") && item.seriesName !== "Period before";
    const row = document.createElement("div");
    const mark = span("chart-tooltip-mark", "");
    mark.style.background = item.color;
    mark.style.opacity = item.seriesId?.startsWith("before ") ? "0.5" : "1";
    const name = span("chart-tooltip-name", isBefore ? `${item.seriesName}, before` : item.seriesName);
    row.append(mark, name, span("chart-tooltip-value", value == null ? "–" : format(value)));
    box.append(row);
  }
  return box;
};

// Data are data: only what the option says outside of them is revived.
const withoutData = (key, item) => (["data", "name", "rows", "caption"].includes(key) ? undefined : item);

const build = (json, element) => {
  const { fontFamily } = getComputedStyle(element);
  const { colour, close } = paletteOf(element.parentElement);
  const plain = JSON.parse(json);
  const option = revive(JSON.parse(JSON.stringify(plain, withoutData)), colour);
  for (const part of ["series", "xAxis", "yAxis"]) {
    const plainly = list(plain[part]);
    list(option[part]).forEach((target, index) => {
      const { data, name } = plainly[index];
      if (data) target.data = data;
      if (name) target.name = name;
    });
  }
  const text = { color: colour("--text-muted"), fontFamily };
  for (const axis of [...list(option.xAxis), ...list(option.yAxis)]) {
    axis.axisLabel = { ...text, hideOverlap: true, ...axis.axisLabel };
    axis.nameTextStyle = { ...text, align: "right", ...axis.nameTextStyle };
    axis.axisLine ??= { lineStyle: { color: colour("--line") } };
  }
  // Panels below each other begin and end at the same place, whatever is written beside them.
  if (list(option.grid).length > 1) for (const grid of option.grid) grid.outerBoundsMode = "none";
  for (const scale of list(option.visualMap)) scale.textStyle = text;
  for (const legend of list(option.legend)) {
    const hasDashes = option.series.some(({ lineStyle }) => lineStyle?.type === "dashed");
    Object.assign(legend, {
      ...(hasDashes ? {} : { icon: "roundRect", itemWidth: 12, itemHeight: 8 }),
      textStyle: text,
      inactiveColor: colour("--line"),
      pageTextStyle: text,
      pageIconColor: colour("--text-muted"),
      pageIconInactiveColor: colour("--line"),
    });
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

const PICTURE_SCALE = 2;

// A picture of the chart as it is, on its background and under its caption.
const picture = async (chart, element, caption) => {
  const { colour, close } = paletteOf(element.parentElement);
  const [background, text, muted] = ["--surface", "--text", "--text-muted"].map(colour);
  close();
  const drawn = new Image();
  drawn.src = chart.getDataURL({ type: "png", pixelRatio: PICTURE_SCALE, backgroundColor: background });
  await drawn.decode();
  const lines = caption.filter(Boolean);
  const [margin, line] = [16 * PICTURE_SCALE, 20 * PICTURE_SCALE];
  const canvas = document.createElement("canvas");
  canvas.width = drawn.width + 2 * margin;
  canvas.height = drawn.height + 2 * margin + (lines.length ? lines.length * line + margin : 0);
  const pen = canvas.getContext("2d");
  pen.fillStyle = background;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const { fontFamily } = getComputedStyle(element);
  pen.textBaseline = "top";
  lines.forEach((words, place) => {
    pen.fillStyle = place === 0 ? text : muted;
    pen.font = place === 0 ? `600 ${15 * PICTURE_SCALE}px ${fontFamily}` : `${12 * PICTURE_SCALE}px ${fontFamily}`;
    pen.fillText(words, margin, margin + place * line, canvas.width - 2 * margin);
  });
  pen.drawImage(drawn, margin, canvas.height - margin - drawn.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
};

const save = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has begun by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

// The item nearest to a point of a panel in which numbers go up.
const nearest = (chart, option, point) => {
  let found;
  const heights = new Map();
  option.series.forEach(({ type, xAxisIndex = 0, stack, data }, seriesIndex) => {
    const finder = { seriesIndex };
    if (type === "heatmap" || list(option.xAxis)[xAxisIndex].type !== "category" || !chart.containPixel(finder, point)) return;
    const [dataIndex] = chart.convertFromPixel(finder, point);
    if (data[dataIndex] == null) return;
    // What is stacked begins where the one below ends.
    const height = data[dataIndex] + (stack ? (heights.get(stack) ?? 0) : 0);
    if (stack) heights.set(stack, height);
    const distance = Math.abs(chart.convertToPixel(finder, [dataIndex, height])[1] - point[1]);
    if (!found || distance < found.distance) found = { seriesIndex, dataIndex, distance };
  });
  return found;
};

// A click on an item, or beside it in its column, follows the link of the row that it stands in.
const followRows = (chart, element, current) => {
  let touched;
  const linkOf = (item) => {
    const row = item && current().rows?.[item.seriesIndex]?.[item.dataIndex];
    if (row == null) return undefined;
    return element.closest("figure")?.querySelector(`tr[data-row="${row}"] a[data-drill]`) ?? undefined;
  };
  const follow = (item) => {
    const link = linkOf(item);
    if (!link) return;
    // Where nothing hovers the first touch shows the numbers, and a second one on the same item follows.
    if (matchMedia("(hover: none)").matches && touched !== link) {
      touched = link;
      return;
    }
    link.click();
  };
  chart.on("click", { componentType: "series" }, follow);
  const pen = chart.getZr();
  pen.on("click", ({ target, offsetX, offsetY }) => {
    if (!target) follow(nearest(chart, current().option, [offsetX, offsetY]));
  });
  pen.on("mousemove", ({ target, offsetX, offsetY }) => {
    if (!target) pen.setCursorStyle(linkOf(nearest(chart, current().option, [offsetX, offsetY])) ? "pointer" : "default");
  });
};

/** Draws into the element; the answer updates, saves or removes the chart. */
export const mount = (element, json) => {
  const chart = init(element);
  let current;
  const draw = () => {
    const { rows, caption } = JSON.parse(json);
    current = { option: build(json, element), rows, caption };
    chart.setOption(current.option, { notMerge: true, lazyUpdate: false });
  };
  draw();
  followRows(chart, element, () => current);
  const observer = new ResizeObserver(() => chart.resize());
  observer.observe(element);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);
  return {
    update: (next) => {
      json = next;
      draw();
    },
    download: async (name) => save(await picture(chart, element, current.caption ?? []), name),
    dispose: () => {
      observer.disconnect();
      dark.removeEventListener("change", draw);
      chart.dispose();
    },
  };
};
