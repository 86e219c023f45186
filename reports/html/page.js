"use strict";
(async () => {
  const id = (name) => document.getElementById(name);
  const places = JSON.parse(id("places").textContent);
  const root = document.documentElement;
  const box = id("timeline");

  await Bokeh.embed.embed_item(JSON.parse(id("figure").textContent), "timeline");
  const doc = Bokeh.documents[0];
  const models = [...doc.all_models];
  const plot = doc.get_model_by_name("timeline");
  const range = plot.x_range;
  const whole = [range.start, range.end];
  const chosenBox = doc.get_model_by_name("chosen");
  const proof = doc.get_model_by_name("proof");
  const sources = (name) => models.filter((m) => m.type === "ColumnDataSource" && m.name === name);

  // Colours: the page's style has them by name, for light and for dark; the canvas must be told.
  const paint = () => {
    const style = getComputedStyle(root);
    const ink = (name) => style.getPropertyValue("--" + name).trim();
    for (const model of models) {
      for (const tag of model.tags ?? []) {
        if (typeof tag !== "string" || !tag.startsWith("ink:")) continue;
        const [property, name] = tag.slice(4).split("=");
        const scalar = model.type.endsWith("Axis") || model.type === "Grid" || model.type === "BoxAnnotation";
        model[property] = scalar ? ink(name) : {value: ink(name)};
      }
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => root.dataset.theme === "dark" || (root.dataset.theme === undefined && dark.matches);
  dark.addEventListener("change", paint);
  id("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; paint(); });
  // On paper it is light, and the proofs are open.
  let before, closed = [];
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    closed = [...document.querySelectorAll(".finding details:not([open])")];
    closed.forEach((details) => { details.open = true; });
    root.dataset.theme = "light";
    paint();
  });
  addEventListener("afterprint", () => {
    closed.forEach((details) => { details.open = false; });
    if (before === undefined) delete root.dataset.theme; else root.dataset.theme = before;
    paint();
  });

  // The part of the axis that is seen. Never beyond the run, never narrower than 10 microseconds.
  const look = (start, end) => {
    const width = Math.min(Math.max(end - start, 1e-5), whole[1] - whole[0]);
    const middle = (start + end) / 2;
    const left = Math.min(Math.max(middle - width / 2, whole[0]), whole[1] - width);
    range.setv({start: left, end: left + width});
  };
  const zoom = (factor) => {
    const middle = (range.start + range.end) / 2, half = (range.end - range.start) * factor / 2;
    look(middle - half, middle + half);
  };
  const move = (share) => { const by = (range.end - range.start) * share; look(range.start + by, range.end + by); };

  // Findings.
  let current = 0;
  const choose = (number, scroll) => {
    const place = places[number - 1];
    if (!place || place.start === null) return;
    current = number;
    const pad = Math.max((place.end - place.start) * 0.35, 0.02);
    look(place.start - pad, place.end + pad);
    chosenBox.setv({left: place.start, right: place.end, visible: true});
    id("current").textContent = `finding ${number} of ${places.length}: ${place.title}`;
    id("current").href = `#finding-${number}`;
    document.querySelectorAll(".chosen").forEach((card) => card.classList.remove("chosen"));
    id(`finding-${number}`)?.classList.add("chosen");
    settle();
    if (scroll) { id("what").scrollIntoView(); box.focus({preventScroll: true}); }
  };
  const step = (by) => {
    for (let n = current + by; n >= 1 && n <= places.length; n += by) {
      if (places[n - 1].start !== null) { choose(n, false); return; }
    }
  };
  document.querySelectorAll("button.show").forEach((button) =>
    button.addEventListener("click", () => choose(Number(button.dataset.finding), true)));

  // Text that fits stands on its bar, within the part that is seen; the ops of a proof are numbered where there is room.
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.font = "12px system-ui, sans-serif";
  const widths = new Map();
  const wide = (text) => { if (!widths.has(text)) widths.set(text, canvas.measureText(text).width); return widths.get(text); };
  const pixels = () => plot.inner_width / (range.end - range.start);
  const settle = () => {
    const scale = pixels();
    for (const source of sources("labels")) {
      const {left, right, y, label, short} = source.data;
      const x = Array.from(left, (l) => Math.max(l, range.start));
      const text = new Array(x.length).fill("");
      const taken = new Map();
      for (const i of [...x.keys()].sort((a, b) => left[a] - left[b])) {
        if (right[i] < range.start || left[i] > range.end || x[i] < (taken.get(y[i]) ?? -Infinity)) continue;
        const room = (Math.min(right[i], range.end) - x[i]) * scale - 10;
        text[i] = room >= wide(label[i]) ? label[i] : room >= wide(short[i]) ? short[i] : "";
        if (text[i]) taken.set(y[i], x[i] + (wide(text[i]) + 12) / scale);
      }
      source.data = {...source.data, x, text};
    }
    const xs = [], ys = [], texts = [], ends = [-Infinity, -Infinity];
    for (const [time, index] of [...(places[current - 1]?.ops ?? [])].sort((a, b) => a[0] - b[0])) {
      const at = time * scale, row = ends.findIndex((end) => at > end);
      xs.push(time); ys.push(row === 1 ? 24 : 9); texts.push(row < 0 ? "" : String(index));
      if (row >= 0) ends[row] = at + wide(String(index)) + 8;
    }
    proof.data = {x: xs, y: ys, text: texts};
  };
  let waiting = false;
  const soon = () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; settle(); }); } };
  range.change.connect(soon);
  new ResizeObserver(soon).observe(box);

  // One note for all that lies under the pointer.
  const tip = id("tip");
  let kept = false;
  const under = (x, y) => {
    const scale = pixels(), near = 6 / scale, texts = new Set();
    for (const source of sources("marks")) {
      const {x: xs, y: ys, tip: tips} = source.data;
      for (let i = 0; i < xs.length && texts.size < 8; i++) if (Math.abs(xs[i] - x) <= near && Math.abs(ys[i] - y) <= 8) texts.add(tips[i]);
    }
    const found = [];
    for (const source of sources("bars")) {
      const {left, right, top, bottom, tip: tips} = source.data;
      for (let i = 0; i < left.length; i++) {
        if (x >= left[i] - near / 3 && x <= right[i] + near / 3 && y >= top[i] && y <= bottom[i]) found.push([right[i] - left[i], tips[i]]);
      }
    }
    for (const [, text] of found.sort((a, b) => a[0] - b[0]).slice(0, 8)) texts.add(text);
    return [...texts];
  };
  const show = (event, texts) => {
    tip.hidden = texts.length === 0;
    tip.replaceChildren(...texts.map((text) => Object.assign(document.createElement("p"), {textContent: text})));
    const bounds = box.getBoundingClientRect(), x = bounds.left + event.sx, y = bounds.top + event.sy;
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? Math.max(8, y - tip.offsetHeight - 14) : y + 18}px`;
  };
  const drop = () => { kept = false; tip.classList.remove("kept"); tip.hidden = true; };
  plot.on_event("mousemove", (event) => { if (!kept) show(event, under(event.x, event.y)); });
  plot.on_event("mouseleave", () => { if (!kept) drop(); });
  plot.on_event("tap", (event) => {
    const texts = under(event.x, event.y);
    drop();
    show(event, texts);
    kept = texts.length > 0;
    tip.classList.toggle("kept", kept);
  });
  addEventListener("scroll", drop, {passive: true});

  // Buttons and keys.
  const acts = {
    all: () => look(...whole), in: () => zoom(0.5), out: () => zoom(2), left: () => move(-0.3), right: () => move(0.3),
    previous: () => step(-1), next: () => step(1),
  };
  document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => acts[button.dataset.do]()));
  const keys = {ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", "0": "all", n: "next", p: "previous"};
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[event.key]) { acts[keys[event.key]](); event.preventDefault(); }
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") drop(); });
  document.querySelectorAll("[data-layer]").forEach((button) => button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", String(on));
    for (const model of models) if ((model.tags ?? []).includes("layer:" + button.dataset.layer)) model.visible = on;
  }));
  id("copy")?.addEventListener("click", () => {
    const text = id("command");
    getSelection().selectAllChildren(text);
    id("copy").textContent = document.execCommand("copy") ? "Copied" : "Selected";
  });

  paint();
  settle();
  root.dataset.ready = "true";
})();
