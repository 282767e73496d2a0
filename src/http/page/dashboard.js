// The page: asks for the night once, then follows the events. Whatever comes from outside, such as
// the name of a file, is set as text and never as markup.

import { Refused, follow, get } from "/stream.js";
import { clock, duration, kiel, latency, snr, throughput } from "/plots.js";

const MOST = { stars: 2000, rejects: 200, shownStars: 40, shownRejects: 60 };
const DAY = 86400;

let night = null;
let lostAt = null;
let scheduled = false;

const $ = (id) => document.getElementById(id);

function element(tag, { text, kind, title, ...more } = {}, ...children) {
  const made = document.createElement(tag);
  if (text != null) made.textContent = text;
  if (kind) made.className = kind;
  if (title) made.title = title;
  Object.assign(made, more);
  made.append(...children.filter((child) => child != null));
  return made;
}

const number = (value) => value == null ? "–" : value.toLocaleString("en");

function size(bytes) {
  if (bytes == null) return "–";
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 5);
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${["B", "kB", "MB", "GB", "TB", "PB"][power]}`;
}

const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");

// Tables: heads are [name, is a number]; a cell is text, an element or null.
function fill(id, heads, rows, empty) {
  const table = $(id);
  if (!rows.length) return table.replaceChildren(element("caption", { text: empty, kind: "none" }));
  const head = element("tr", {}, ...heads.map(([name, isNumber]) =>
    element("th", { text: name, kind: isNumber ? "n" : "", scope: "col" })));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell, i) => {
    const kind = heads[i][1] ? "n" : heads[i][2] ?? "";
    return cell instanceof Node ? element("td", { kind }, cell) : element("td", { kind, text: cell });
  })));
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
}

function withReason(text, reason, kind) {
  return element("span", { text }, element("small", { text: reason, kind }));
}

function figures(status) {
  const { tonight, latency: late, inboxes, disk } = status;
  const all = tonight.rows + tonight.rejects;
  const share = (part, whole) => whole ? `${(100 * part / whole).toFixed(1)} %` : "–";
  const waiting = inboxes.reduce((sum, inbox) => sum + inbox.waiting, 0);
  const oldest = Math.max(0, ...inboxes.map((inbox) => inbox.oldest_s ?? 0));
  const room = disk && disk.free_bytes / disk.total_bytes;
  const cells = [
    ["Rows tonight", number(tonight.rows), `${share(tonight.bad_rows, tonight.rows)} flagged bad`],
    ["Rejects tonight", number(tonight.rejects), share(tonight.rejects, all), tonight.rejects > all / 10 && all > 20],
    ["Rate", `${status.rate_per_s.toFixed(status.rate_per_s < 10 ? 1 : 0)}/s`, "over the last minute"],
    ["Latency", duration(late.p50_s), `1 % above ${duration(late.p99_s)}`, late.p99_s > 60],
    ["Waiting", number(waiting), waiting ? `oldest ${duration(oldest)}` : "no file waits", oldest > 300],
    ["Disk left", size(disk?.free_bytes), disk ? `of ${size(disk.total_bytes)}` : "", disk && room < 0.05],
  ];
  $("figures").replaceChildren(...cells.map(([name, value, more, warn]) =>
    element("div", { kind: warn ? "warn" : "" }, element("span", { text: name }),
      element("b", { text: value, kind: warn ? "bad" : "" }), element("span", { text: more }))));
}

function flow(status) {
  const percent = (share) => `${Math.round(share * 100)} %`;
  const items = [];
  status.stages.forEach((stage, i) => {
    const isSlow = status.bottleneck === stage.name;
    const trouble = [
      stage.resting > 0.01 && `rests ${percent(stage.resting)}`,
      stage.panics > 0 && `${stage.panics} panics`,
      stage.oldest_work_s > 5 && i > 0 && `at one item for ${duration(stage.oldest_work_s)}`,
    ].filter(Boolean);
    // The source waits for files in its own code, which is no work.
    const busy = i === 0 ? "" : `works ${percent(stage.busy)} · `;
    const workers = `${stage.workers} worker${stage.workers > 1 ? "s" : ""}`;
    const says = [busy + workers, ...trouble].join(" · ");
    items.push(element("li", { kind: `stage${isSlow ? " slow" : ""}` },
      element("b", { text: stage.name }), element("span", { text: says, kind: trouble.length ? "bad" : "" })));
    const queue = status.queues[i];
    if (!queue) return;
    const [byItems, byBytes] = [queue.items / queue.capacity_items, queue.bytes / queue.capacity_bytes];
    const full = Math.min(1, Math.max(byItems, byBytes));
    const waits = [
      queue.blocked > 0.05 && `${queue.from} waits for room ${percent(queue.blocked)}`,
      queue.starved > 0.05 && `${queue.to} waits for items ${percent(queue.starved)}`,
    ].filter(Boolean).join(" · ");
    const label = `${number(queue.items)} of ${number(queue.capacity_items)} · ${size(queue.bytes)}`;
    const bar = element("progress", { max: 1, value: full, kind: full > 0.9 ? "full" : "" });
    bar.setAttribute("aria-label", `queue from ${queue.from} to ${queue.to}: ${label}`);
    items.push(element("li", { kind: "queue" }, bar,
      element("span", { text: waits ? `${label} · ${waits}` : label })));
  });
  $("flow").replaceChildren(...items);
}

function codes(status) {
  const meanings = new Map(night.glossary.codes.map((code) => [code.name, code]));
  const sorted = Object.entries(status.rejects_by_code).toSorted((a, b) => b[1] - a[1]);
  const items = sorted.map(([name, count]) => {
    const { meaning, remedy } = meanings.get(name) ?? { meaning: "", remedy: "" };
    return element("div", { kind: "code" }, element("b", { text: number(count) }),
      element("span", { text: name }), element("p", { kind: "why", text: `${meaning} To do: ${remedy}.` }));
  });
  $("codes").replaceChildren(...items.length ? items : [element("p", { kind: "none", text: "none" })]);
}

function tables(status) {
  const flags = night.glossary.flags.filter((flag) => status.flags[flag.name]);
  fill("flags", [["flag"], ["rows", true], ["share", true]], flags.map((flag) => [
    withReason(flag.bad ? `${flag.name} (bad)` : flag.name, flag.meaning),
    number(status.flags[flag.name]),
    `${(100 * status.flags[flag.name] / Math.max(1, status.tonight.rows)).toFixed(1)} %`,
  ]), "none");
  fill("inboxes", [["inbox"], ["wait", true], ["settle", true], ["oldest", true]], status.inboxes.map((inbox) =>
    [inbox.name, number(inbox.waiting), number(inbox.settling), duration(inbox.oldest_s)]), "none watched");
  fill("nights", [["night", false, "file"], ["state"], ["files", true], ["rows", true], ["rejects", true]],
    status.nights.slice(0, 10).map((one) => [
      withReason(one.name, one.report ?? one.folder), one.phase,
      number(one.files), number(one.rows), number(one.rejects),
    ]), "none yet");
  const says = ({ label }) =>
    status.drifting.includes(label) ? ["has drifted: look at the spectrograph", "bad"] : ["no drift", ""];
  const digits = (unit) => unit === "K" ? 0 : 3;
  fill("drift", [["label"], ["pairs", true], ["median", true], ["± error", true], ["scatter", true], ["unit"]],
    status.drift.filter((drift) => drift.recent).map((drift) => [
      withReason(drift.label, ...says(drift)), number(drift.recent),
      drift.median.toFixed(digits(drift.unit)), drift.error.toFixed(digits(drift.unit)),
      drift.scatter.toFixed(digits(drift.unit)), drift.unit,
    ]), "no star of an earlier night has come again");
}

function lists(status) {
  const old = (time) => time < status.night_begins ? utc(time) : clock(time);
  fill("rejects", [["UTC"], ["file", false, "file"], ["why", false, "file"]],
    night.rejects.slice(-MOST.shownRejects).reverse().map((reject) => [
      old(reject.time), reject.index ? `${reject.file} #${reject.index}` : reject.file,
      withReason(`${reject.code}: ${reject.detail}`, `To do: ${reject.remedy}.`),
    ]), "none");
  const shown = status.labels.map((label, i) => [label, i]).slice(0, 6);
  const digits = (label) => label.unit === "K" ? 0 : 2;
  fill("stars", [["UTC"], ["star", false, "file"], ["S/N g", true],
    ...shown.map(([label]) => [`${label.name}, ${label.unit}`, true]), ["flags", false, "file"]],
  night.stars.slice(-MOST.shownStars).reverse().map((star) => [
    old(star.time), element("span", { text: star.name, title: star.file }), star.snr_g?.toFixed(0) ?? "–",
    ...shown.map(([label, i]) => star.values[i]?.toFixed(digits(label)) ?? "–"),
    element("span", { text: star.flags.join(", ") || "–", kind: star.bad ? "bad" : "" }),
  ]), "none yet");
}

function minutes(status) {
  const sums = new Map(night.minutes.map((bin) => [bin.time, bin]));
  for (const bin of night.tens.values()) {
    const time = Math.floor(bin.time / 60) * 60;
    const sum = sums.get(time) ?? { time, rows: 0, rejects: 0, p50_s: null, p99_s: null, starts: 0 };
    const most = (a, b) => a == null ? b : b == null ? a : Math.max(a, b);
    sums.set(time, {
      time, rows: sum.rows + bin.rows, rejects: sum.rejects + bin.rejects,
      p50_s: most(sum.p50_s, bin.p50_s), p99_s: most(sum.p99_s, bin.p99_s),
      starts: sum.starts + bin.starts,
    });
  }
  const bins = [...sums.values()].filter((bin) => bin.time > status.time - DAY);
  return bins.toSorted((a, b) => a.time - b.time);
}

function draw() {
  scheduled = false;
  if (!night) return;
  const { status } = night;
  const stars = night.stars.filter((star) => star.night === status.night);
  document.title = `${status.tonight.rows} rows · Starmill`;
  $("night").textContent = `Night ${status.night} · ${utc(status.time).slice(11)} UTC`;
  $("ready").textContent = status.ready ? "ready" : "not ready";
  $("ready").className = `chip ${status.ready ? "good" : "bad"}`;
  $("waits").textContent = status.waits;
  figures(status);
  flow(status);
  codes(status);
  tables(status);
  lists(status);
  const bins = minutes(status);
  throughput(bins, status);
  latency(bins, status);
  kiel(stars, status);
  snr(stars, status);
  const faults = Object.entries(status.faults).map(([kind, count]) => `${kind} ${count}`).join(", ");
  $("about").textContent = [
    `${status.model} on ${status.provider}`, `starmill ${status.version}`,
    `since ${utc(status.started)} UTC: ${number(status.counts.files)} files, ${number(status.counts.rows)} rows, ${number(status.counts.rejects)} rejects`,
    `memory ${size(status.memory_bytes)}`, faults && `mended: ${faults}`, status.folder,
  ].filter(Boolean).join(" · ");
}

function schedule() {
  if (!scheduled) requestAnimationFrame(draw);
  scheduled = true;
}

// The service has read back what it did before it was started: all lists are longer now.
class Longer extends Error {}

function take(delta) {
  const { recalled } = night.status;
  Object.assign(night.status, delta.status);
  if (night.status.recalled && !recalled) throw new Longer();
  night.stars = [...night.stars, ...delta.stars].slice(-MOST.stars);
  night.rejects = [...night.rejects, ...delta.rejects].slice(-MOST.rejects);
  for (const bin of delta.bins) {
    if (bin.time >= night.since) night.tens.set(bin.time, bin);
  }
  const oldest = night.status.time - DAY;
  for (const time of night.tens.keys()) if (time < oldest) night.tens.delete(time);
  found();
  schedule();
}

function found() {
  lostAt = null;
  $("lost").hidden = true;
  $("link").textContent = "live";
  $("link").className = "chip good";
  $("main").classList.remove("stale");
}

function lost(error) {
  lostAt ??= new Date();
  const time = lostAt.toISOString().slice(11, 19);
  $("link").textContent = "no connection";
  $("link").className = "chip bad";
  $("lost").textContent = `No connection since ${time} UTC (${error.message}). What is shown is old; trying again.`;
  $("lost").hidden = false;
  $("main").classList.add("stale");
}

async function load() {
  const status = await get("/api/v1/status");
  // Minutes before this one are complete; from here on bins of ten seconds are added up.
  const since = Math.floor(status.time / 60) * 60;
  const [glossary, stars, rejects, bins, tens] = await Promise.all([
    get("/api/v1/glossary"), get("/api/v1/stars"), get("/api/v1/rejects"),
    get("/api/v1/timeline?seconds=60"), get(`/api/v1/timeline?seconds=10&since=${since}`),
  ]);
  night = {
    status, glossary, stars, rejects, since,
    minutes: bins.filter((bin) => bin.time < since), tens: new Map(tens.map((bin) => [bin.time, bin])),
  };
  schedule();
}

function token() {
  $("ask").hidden = false;
  $("token").focus();
  return new Promise((resolve) => {
    $("ask").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem("token", $("token").value);
      $("ask").hidden = true;
      resolve();
    };
  });
}

async function live() {
  for (let pause = 1; ; pause = Math.min(pause * 2, 15)) {
    try {
      await load();
      const last = (list) => list.at(-1)?.number ?? 0;
      await follow(`/api/v1/events?stars=${last(night.stars)}&rejects=${last(night.rejects)}`, (delta) => {
        pause = 1;
        take(delta);
      });
    } catch (error) {
      if (error instanceof Refused) {
        await token();
        pause = 0.5;
        continue;
      }
      if (error instanceof Longer) continue;
      lost(error);
    }
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
  }
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  for (const button of document.querySelectorAll(".themes button")) {
    button.setAttribute("aria-pressed", String(button.dataset.theme === name));
  }
  schedule();
}

for (const button of document.querySelectorAll(".themes button")) {
  button.addEventListener("click", () => {
    localStorage.setItem("theme", button.dataset.theme);
    theme(button.dataset.theme);
  });
}
const wished = location.hash.slice(1) || localStorage.getItem("theme");
theme(["dark", "red", "light"].includes(wished) ? wished : "dark");
addEventListener("resize", schedule);
live();
