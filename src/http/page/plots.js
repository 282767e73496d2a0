// Plots on a canvas in the colours of the page. Each also says in words what it shows.

const PAD = { left: 46, right: 10, top: 8, bottom: 22 };

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

class Plot {
  constructor(id, says) {
    this.canvas = document.getElementById(id);
    this.canvas.setAttribute("aria-label", says);
    const ratio = window.devicePixelRatio || 1;
    this.height = Number(this.canvas.dataset.height ??= this.canvas.height);
    this.width = this.canvas.clientWidth;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.height = `${this.height}px`;
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(ratio, ratio);
    this.pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  }

  axes(x, y) {
    [this.x, this.y] = [x, y];
    const pen = this.pen;
    pen.strokeStyle = colour("line");
    pen.fillStyle = colour("soft");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [value, text] of y.ticks) {
      const at = Math.round(this.toY(value)) + 0.5;
      this.line([PAD.left, at], [this.width - PAD.right, at]);
      pen.fillText(text, PAD.left - 6, at);
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const [value, text] of x.ticks) {
      const at = Math.round(this.toX(value)) + 0.5;
      this.line([at, this.height - PAD.bottom], [at, this.height - PAD.bottom + 4]);
      const half = pen.measureText(text).width / 2;
      pen.fillText(text, Math.min(at, this.width - half - 2), this.height - PAD.bottom + 7);
    }
  }

  line(from, to) {
    this.pen.beginPath();
    this.pen.moveTo(...from);
    this.pen.lineTo(...to);
    this.pen.stroke();
  }

  toX(value) {
    return PAD.left + this.x.share(value) * (this.width - PAD.left - PAD.right);
  }

  toY(value) {
    return this.height - PAD.bottom - this.y.share(value) * (this.height - PAD.top - PAD.bottom);
  }

  nothing(text) {
    this.pen.fillStyle = colour("soft");
    this.pen.textAlign = "center";
    this.pen.font = "13px system-ui, 'DejaVu Sans', sans-serif";
    this.pen.fillText(text, this.width / 2, this.height / 2);
  }

  // What is left of it was committed by an earlier process; latencies are not known of that.
  started(x) {
    this.pen.strokeStyle = colour("soft");
    this.pen.setLineDash([2, 3]);
    this.line([x, PAD.top], [x, this.height - PAD.bottom]);
    this.pen.setLineDash([]);
  }

  mark(x, y, isBad) {
    const pen = this.pen;
    if (!isBad) {
      pen.beginPath();
      pen.arc(x, y, 2, 0, 7);
      pen.fill();
      return;
    }
    this.line([x - 2.5, y - 2.5], [x + 2.5, y + 2.5]);
    this.line([x - 2.5, y + 2.5], [x + 2.5, y - 2.5]);
  }
}

function round(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * [1, 2, 5, 10].find((nice) => nice * power >= step * 0.999);
}

function linear(low, high, count, text = String) {
  const step = round((high - low) / count);
  const ticks = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) {
    ticks.push([v, text(Number(v.toFixed(6)))]);
  }
  return { ticks, share: (v) => (v - low) / (high - low) };
}

function reversed(axis) {
  return { ticks: axis.ticks, share: (v) => 1 - axis.share(v) };
}

function logarithmic(low, high, text = String) {
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const ticks = [];
  for (let power = Math.floor(a); power <= b + 1e-9; power++) {
    for (const digit of b - a < 2.2 ? [1, 2, 5] : [1]) {
      const value = Number((digit * 10 ** power).toPrecision(1));
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push([value, text(value)]);
    }
  }
  const share = (v) => (Math.log10(Math.min(Math.max(v, low), high)) - a) / (b - a);
  return { ticks, share };
}

export function clock(seconds) {
  return new Date(seconds * 1000).toISOString().slice(11, 16);
}

function hours(begin, end) {
  const steps = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400];
  const count = Math.max(3, Math.min(8, window.innerWidth / 160));
  const step = steps.find((s) => (end - begin) / s <= count) ?? 21600;
  const ticks = [];
  for (let t = Math.ceil(begin / step) * step; t <= end; t += step) ticks.push([t, clock(t)]);
  return { ticks, share: (t) => (t - begin) / (end - begin) };
}

function span(bins, status) {
  const first = bins.length ? bins[0].time : status.time;
  const begin = Math.max(Math.min(first, status.time - 300), status.time - 86400);
  return hours(begin, status.time + 60);
}

export function throughput(bins, status) {
  const most = Math.max(10, ...bins.map((bin) => bin.rows + bin.rejects));
  const { rows, rejects } = status.tonight;
  const starts = bins.reduce((sum, bin) => sum + bin.starts, 0);
  const says = `Rows and rejects each minute, at most ${most}; tonight ${rows} rows, ${rejects} rejects`
    + `${starts > 1 ? `; the service was started ${starts} times` : ""}.`;
  const plot = new Plot("throughput", says);
  plot.axes(span(bins, status), linear(0, most * 1.05, 4));
  for (const bin of bins) {
    const [left, right] = [plot.toX(bin.time), plot.toX(bin.time + 60)];
    if (left < PAD.left) continue;
    const width = Math.max(1, right - left - (right - left > 4 ? 1 : 0));
    const [zero, middle, top] = [0, bin.rows, bin.rows + bin.rejects].map((v) => plot.toY(v));
    plot.pen.fillStyle = colour("one");
    plot.pen.fillRect(left, middle, width, zero - middle);
    plot.pen.fillStyle = colour("two");
    plot.pen.fillRect(left, top, width, middle - top);
    if (bin.starts) plot.started(left);
  }
}

export function latency(bins, status) {
  const known = bins.filter((bin) => bin.p50_s != null);
  const most = Math.max(10, ...known.map((bin) => bin.p99_s));
  const { p50_s: half, p99_s: slow } = status.latency;
  const says = half == null ? "Latency: no file has come through an inbox tonight."
    : `Latency from arrival to durable row tonight: half below ${duration(half)}, 1 % above ${duration(slow)}.`;
  const plot = new Plot("latency", says);
  plot.axes(span(bins, status), logarithmic(0.1, 10 ** Math.ceil(Math.log10(most)), duration));
  if (!known.length) return plot.nothing("no file has come through an inbox");
  for (const [key, name, dash] of [["p99_s", "three", [4, 2]], ["p50_s", "one", []]]) {
    const pen = plot.pen;
    pen.strokeStyle = colour(name);
    pen.lineWidth = 1.6;
    pen.setLineDash(dash);
    pen.beginPath();
    let last = -Infinity;
    for (const bin of known) {
      const [left, right] = [Math.max(plot.toX(bin.time), PAD.left), plot.toX(bin.time + 60)];
      const at = plot.toY(bin[key]);
      if (right <= PAD.left) continue;
      // A line across a pause would invent latencies; a minute alone is a line of its own length.
      if (bin.time - last > 180) pen.moveTo(left, at);
      pen.lineTo(left, at);
      pen.lineTo(right, at);
      last = bin.time;
    }
    pen.stroke();
    pen.setLineDash([]);
  }
}

export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 120) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Number((seconds / 3600).toPrecision(2))} h`;
}

function limits(values, least, margin) {
  const sorted = values.toSorted((a, b) => a - b);
  // Single outliers are drawn at the border rather than pressing all others together.
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  let [low, high] = [at(0.005) - margin, at(0.995) + margin];
  const lack = Math.max(0, least - (high - low)) / 2;
  return [low - lack, high + lack];
}

function scatter(plot, points) {
  points.forEach(({ x, y, bad }, i) => {
    const age = points.length - 1 - i;
    plot.pen.globalAlpha = age < 30 ? 1 : bad ? 0.85 : 0.55;
    plot.pen.fillStyle = colour("one");
    plot.pen.strokeStyle = colour("two");
    const inside = (axis, value) => Math.min(Math.max(axis.share(value), 0), 1);
    const [across, up] = [inside(plot.x, x), inside(plot.y, y)];
    plot.mark(PAD.left + across * (plot.width - PAD.left - PAD.right),
      plot.height - PAD.bottom - up * (plot.height - PAD.top - PAD.bottom), bad);
  });
  plot.pen.globalAlpha = 1;
  const last = points.at(-1);
  if (!last) return;
  plot.pen.strokeStyle = colour("text");
  plot.pen.lineWidth = 1.5;
  plot.pen.beginPath();
  plot.pen.arc(plot.toX(last.x), plot.toY(last.y), 6, 0, 7);
  plot.pen.stroke();
}

export function kiel(stars, status) {
  const [teff, logg] = ["teff", "logg"].map((n) => status.labels.findIndex((l) => l.name === n));
  const points = teff < 0 || logg < 0 ? [] : stars
    .map((star) => ({ x: star.values[teff], y: star.values[logg], bad: star.bad }))
    .filter(({ x, y }) => x != null && y != null);
  if (!points.length) {
    const why = teff < 0 || logg < 0 ? "the model gives no teff and logg" : "no star yet tonight";
    return new Plot("kiel", `Kiel diagram: ${why}.`).nothing(why);
  }
  const [cool, hot] = limits(points.map((p) => p.x), 1000, 100);
  const [bright, faint] = limits(points.map((p) => p.y), 2, 0.2);
  const flagged = points.filter((p) => p.bad).length;
  const says = `Kiel diagram of the last ${points.length} stars of tonight, ${flagged} flagged bad: `
    + `teff ${Math.round(cool)} to ${Math.round(hot)} K, logg ${bright.toFixed(1)} to ${faint.toFixed(1)}.`;
  const plot = new Plot("kiel", says);
  plot.axes(reversed(linear(cool, hot, 5)), reversed(linear(bright, faint, 6)));
  plot.pen.textAlign = "right";
  plot.pen.fillText("teff, K", plot.width - PAD.right, plot.height - PAD.bottom - 16);
  plot.pen.textAlign = "left";
  plot.pen.fillText("logg", PAD.left + 4, PAD.top);
  scatter(plot, points);
}

export function snr(stars, status) {
  const points = stars.filter((star) => star.snr_g > 0)
    .map((star) => ({ x: star.time, y: star.snr_g, bad: star.bad }));
  if (!points.length) return new Plot("snr", "S/N: no star yet tonight.").nothing("no star yet tonight");
  const middle = points.map((p) => p.y).toSorted((a, b) => a - b)[points.length >> 1];
  const least = Math.max(1, Math.min(10, ...points.map((p) => p.y)));
  const most = Math.max(100, ...points.map((p) => p.y)) * 1.2;
  const says = `S/N in g of the last ${points.length} stars of tonight; the median is ${middle.toFixed(0)}.`;
  const plot = new Plot("snr", says);
  const begin = Math.min(points[0].x, status.time - 300);
  plot.axes(hours(begin, status.time + 5), logarithmic(least, most));
  scatter(plot, points);
  plot.pen.strokeStyle = colour("three");
  plot.pen.setLineDash([4, 3]);
  const at = plot.toY(middle);
  plot.line([PAD.left, at], [plot.width - PAD.right, at]);
  const text = `median ${middle.toFixed(0)}`;
  plot.pen.textAlign = "left";
  plot.pen.fillStyle = colour("panel");
  plot.pen.fillRect(PAD.left + 3, at - 17, plot.pen.measureText(text).width + 6, 15);
  plot.pen.fillStyle = colour("text");
  plot.pen.fillText(text, PAD.left + 6, at - 15);
}
