"use strict";
// Draws the figures, follows the reader's light or dark colours, and moves what can be moved.

const page = JSON.parse(document.getElementById("report-data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const EXCHANGED = {"#222222": "#e8e8e8", "#666666": "#a8adb3", "#e3e3e3": "#3a3f45", "#ffffff": "#1f2226",
                   "#c1440e": "#ff8a5c", "#0072b2": "#4fb3f0"};
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const CONFIG = {responsive: true, displayModeBar: false};
const touch = matchMedia("(pointer: coarse)");
const byId = (name) => document.getElementById(name);

// The colour of a symbol, from the part of the map that stands out from the page.
function viridis(share) {
  const place = (dark.matches ? 0.3 + 0.7 * share : 0.92 * share) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return `rgb(${VIRIDIS[k].map((value, i) => Math.round(value + (place - k) * (VIRIDIS[k + 1][i] - value)))})`;
}

function coloured(figure) {
  const exchange = (key, value) => {
    // A cell's phase keeps its colour on dark pages: the legend and the other figures have it too.
    if (key === "colorscale") return value;
    return (dark.matches && EXCHANGED[value]) || value;
  };
  const shown = JSON.parse(JSON.stringify(figure), exchange);
  for (const trace of shown.data) {
    if (trace.meta?.share !== undefined) trace.line.color = viridis(trace.meta.share);
    if (trace.marker?.colorscale && dark.matches) trace.marker.cmin = -0.43 * (trace.x.length - 1);
  }
  if (touch.matches) shown.layout.dragmode = false;  // a finger scrolls the page
  return shown;
}

const drawn = {};  // name of an element: the figure that it shows, in light colours
function draw(name, figure) {
  drawn[name] = figure;
  const shown = coloured(figure);
  return Plotly.react(byId(name), shown.data, shown.layout, CONFIG);
}

for (const [name, figure] of Object.entries(page.figures)) {
  if (byId(name)) draw(name, figure);
}

// Curves of a run.

const scale = byId("log-steps");
if (scale) {
  const stepFigures = () => Object.keys(drawn).filter((name) => drawn[name].layout.meta?.steps);
  scale.checked = stepFigures().some((name) => drawn[name].layout.xaxis.type === "log");
  scale.addEventListener("change", () => {
    for (const name of stepFigures()) {
      const axis = drawn[name].layout.xaxis;
      Object.assign(axis, {type: scale.checked ? "log" : "linear", autorange: true});
      axis.tickmode = scale.checked && axis.tickvals ? "array" : "auto";
      draw(name, drawn[name]);
    }
  });
}

const metric = byId("metric");
if (metric) {
  metric.addEventListener("change", () => {
    const chosen = page.metrics[metric.value];
    const figure = drawn["metric-plot"];
    Object.assign(figure.data[0], {x: chosen.steps, y: chosen.values, name: metric.value});
    draw("metric-plot", figure);
  });
}

// Embeddings over steps.

if (page.embeddings) {
  const views = page.embeddings;
  const slider = byId("step"), play = byId("play"), words = byId("step-words");
  const hold = byId("hold-axes");
  const range = (values) => {
    const low = Math.min(...values), high = Math.max(...values), margin = 0.12 * (high - low) || 1;
    return [low - margin, high + margin];
  };
  const show = () => {
    const k = Number(slider.value);
    for (const axis of ["x", "y"]) {
      drawn.embeddings.layout[`${axis}axis`].range = range(hold.checked ? views[axis].flat() : views[axis][k]);
    }
    words.textContent = views.words[k];
    slider.setAttribute("aria-valuetext", `step ${views.steps[k]}`);
    Object.assign(drawn.embeddings.data[0], {x: views.x[k], y: views.y[k]});
    draw("embeddings", drawn.embeddings);
    for (const name of ["components", "fourier"]) {
      if (!drawn[name]) continue;
      Object.assign(drawn[name].data[1], {y: views[name][k], name: `step ${views.steps[k]}`});
      draw(name, drawn[name]);
    }
  };
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  const advance = () => {
    if (Number(slider.value) >= Number(slider.max)) return stop();
    slider.value = Number(slider.value) + 1;
    show();
  };
  slider.addEventListener("input", () => { stop(); show(); });
  hold.addEventListener("change", show);
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) { slider.value = 0; show(); }
    play.textContent = "Pause";
    timer = setInterval(advance, 300);
  });
  show();
}

// The cells of a diagram.

if (page.diagram) {
  const {views, cells, curves, lines, start} = page.diagram;
  const view = byId("view"), measure = byId("measure"), map = byId("map");
  const HEAD = ["", "phase", "steps to training threshold", "steps to validation threshold", "steps to RQI",
                "training accuracy", "validation accuracy", "RQI", "effective dimension"];
  let [x, y] = start;

  const showMap = () => {
    const figure = page.figures[`map-${measure.value}`];
    const {values, words, letters} = views[view.value];
    Object.assign(figure.data[0], {z: values[measure.value], customdata: words, text: letters});
    figure.layout.shapes = [{
      type: "rect", x0: x - 0.5, x1: x + 0.5, y0: y - 0.5, y1: y + 0.5, line: {color: "#222222", width: 3},
    }];
    return draw("map", figure);
  };

  const tableRow = (texts, isHead) => {
    const row = document.createElement("tr");
    texts.forEach((text, k) => {
      const cell = document.createElement(isHead || k === 0 ? "th" : "td");
      if (cell.tagName === "TH") cell.scope = isHead ? "col" : "row";
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  };

  const showCell = () => {
    const {contender, seed: chosenSeed, words} = views[view.value];
    const runs = cells[contender][y][x].filter((run) => chosenSeed === null || run[1] === chosenSeed);
    byId("cell-words").innerHTML = words[y][x];
    const told = HEAD.map((name, k) => [name, ...runs.map((run) => run[k + 1])]);
    byId("cell-runs").replaceChildren(...(runs.length ? told.map((row, k) => tableRow(row, k === 0)) : []));
    if (!lines) return;
    const data = [];
    for (const [number, seed] of runs) {
      for (const [name, look] of Object.entries(lines)) {
        const steps = [], values = [];
        (curves[number]?.[name] || []).forEach((value, k) => {
          if (value !== null) { steps.push(curves[number].step[k]); values.push(value); }
        });
        if (!steps.length) continue;
        data.push({
          x: steps, y: values, name: look.name, legendgroup: name, mode: "lines+markers", marker: {size: 4},
          showlegend: !data.some((trace) => trace.legendgroup === name),
          line: {color: look.color, dash: look.dash, width: 2},
          hovertemplate: `${seed}: ${look.name} %{y:.3f} at step %{x}<extra></extra>`,
        });
      }
    }
    draw("cell-curves", {data, layout: drawn["cell-curves"].layout});
  };

  const choose = (column, row) => {
    x = Math.max(0, Math.min(cells[0][0].length - 1, column));
    y = Math.max(0, Math.min(cells[0].length - 1, row));
    showMap();
    showCell();
  };
  const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
  showMap().then(() => map.on("plotly_click", (event) => choose(event.points[0].x, event.points[0].y)));
  map.addEventListener("keydown", (event) => {
    if (!moves[event.key]) return;
    event.preventDefault();
    choose(x + moves[event.key][0], y + moves[event.key][1]);
  });
  view.addEventListener("change", () => choose(x, y));
  measure.addEventListener("change", showMap);
  showCell();
}

// A figure of one scheme is drawn anew in the other.
dark.addEventListener("change", () => Object.entries(drawn).forEach(([name, figure]) => draw(name, figure)));
