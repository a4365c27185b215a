"use strict";
const $ = id => document.getElementById(id);
const stage = $("stage"), view = $("view"), pen = view.getContext("2d");
const HINTS = { detect: "orange, apple", find: "the left cup", count: "orange", ask: "What is in this image?" };
const state = { file: null, image: null, scene: null, regions: [], found: [], verb: "detect", words: "", told: "", lit: null,
  about: null, drawn: null };
let key = "", turn = 0;

const say = (text, bad) => { $("status").textContent = text; $("status").className = bad ? "error" : ""; };
const verb = () => document.querySelector("[name=verb]:checked").value;
const colour = label => {
  let hash = 0;
  for (const sign of label) hash = (hash * 31 + sign.codePointAt(0)) % 360;
  return `hsl(${hash} 90% 45%)`;
};

const hue = one => colour(one.id ? `${one.label} ${one.id * 7}` : one.label);  // one for each track, or each label

async function call(path, body) {
  const form = body instanceof FormData;
  const headers = form ? {} : { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(path, { method: "POST", headers, body: form ? body : JSON.stringify(body) });
  const said = await answer.json();
  if (answer.status === 401 && (key = prompt("This server asks for a key:") || "")) return call(path, body);
  if (!answer.ok) throw Object.assign(new Error(said.error.message), { code: said.error.code });
  return said;
}

async function look(boxes) {
  const form = new FormData();
  form.append("image", state.file);
  if (boxes) form.append("boxes", JSON.stringify(boxes));
  return call("/v1/scenes", form);
}

/** Asks the scene; posts the photo again if the server has forgotten it. */
async function ask(verb, question) {
  const put = () => call(`/v1/scenes/${state.scene.id}/${verb}`, question);
  try { return await put(); } catch (error) {
    if (error.code !== "scene_not_found") throw error;
    state.scene = await look();
    return put();
  }
}

/** Runs one thing at a time for the user; what comes after it makes its answer stale. */
async function busy(what, work) {
  const mine = ++turn, started = performance.now();
  say(`${what} …`);
  try {
    await work(() => mine === turn);
    if (mine === turn) say(`${what}: ${((performance.now() - started) / 1000).toFixed(2)} s`);
  } catch (error) { if (mine === turn) say(error.message, true); }
}

async function show(file) {
  if (!file) return;
  if (file.type.startsWith("video/")) return openVideo(file);
  closeVideo();
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try { await image.decode(); } catch { return say(`${file.name} is no image this browser can show`, true); }
  Object.assign(state, { file, image, scene: null, regions: [], found: [], words: "", told: "", lit: null, about: null,
    drawn: null });
  view.width = image.naturalWidth; view.height = image.naturalHeight;
  view.hidden = false; $("hint").hidden = true; stage.classList.add("full"); $("go").disabled = true;
  draw();
  await busy("Looked at the photo", async current => {
    const scene = await look();
    if (!current()) return;
    state.scene = scene; state.regions = scene.regions; $("go").disabled = false; draw();
  });
  if (state.scene && $("words").value) run();
}

function run() {
  if (film.player) return follow();
  const chosen = verb(), words = $("words").value.trim() || HINTS[chosen];
  return busy(`Asked "${words}"`, async current => {
    // Every score comes once; the slider then needs no server.
    const question = { detect: { labels: words, threshold: 0 }, find: { phrase: words, threshold: 0 },
      count: { label: words, threshold: 0 }, ask: { question: words } }[chosen];
    const said = await ask(chosen, question);
    if (!current()) return;
    Object.assign(state, { verb: chosen, words, told: "", lit: null, about: null });
    if (chosen === "ask") light("ask", numbers(said.text), "", said.text);
    else state.found = said.detections;
    draw();
  });
}

/** scene: the one to ask, or a promise of it. */
function tell(box, scene, region) {
  state.lit = box; state.told = "…"; state.about = { scene, region }; draw();
  return busy("Looked closer", async current => {
    const base = `/v1/scenes/${(await scene).id}`;
    const text = call(`${base}/describe`, { region }), names = call(`${base}/name`, { region }).catch(() => ({ names: [] }));
    const lines = (await names).names.map(one => `${one.chance.toFixed(2)}  ${one.name}`);
    const said = (await text).text;
    if (current()) { state.told = [said, ...lines].join("\n"); draw(); }
  });
}

function read() {
  const { scene, region } = state.about;
  return busy("Read", async current => {
    const said = await call(`/v1/scenes/${(await scene).id}/read`, { region });
    if (current()) { state.told = said.text || "nothing"; draw(); }
  });
}

/** The region as a visual prompt; a model that answers in words only is asked for what it would call the region. */
function more() {
  const { scene, region } = state.about;
  return busy("Looked for more", async current => {
    const base = `/v1/scenes/${(await scene).id}`;
    const question = `Using the provided object <region${region}> as a reference, identify all other objects of the same ` +
      "category in this image. Respond with object indexes.";
    const named = numbers((await call(`${base}/ask`, { question })).text).filter(n => n !== region && state.regions[n]);
    if (named.length && scene === state.scene) {
      if (current()) { light("ask", named, "like it", `${named.length} more like it`); draw(); }
      return;
    }
    const [best] = (await call(`${base}/name`, { region }).catch(() => ({ names: [] }))).names;
    if (!best) throw new Error("the model named nothing like it");
    const { name } = best, said = await ask("detect", { labels: [name], threshold: 0 });
    if (!current()) return;
    Object.assign(state, { verb: "detect", words: name, told: `like it, going by the name "${name}"`, found: said.detections });
    draw();
  });
}

const numbers = text => [...new Set([...text.matchAll(/<region(\d+)>/g)].map(match => +match[1]))];
const light = (verb, named, label, told) => Object.assign(state, { verb, told,
  found: named.filter(n => state.regions[n]).map(n => ({ label: label || `region ${n}`, ...state.regions[n] })) });

const least = () => +$("slider").value;
const kept = () => state.verb === "ask" ? state.found : state.found.filter(one => one.score >= least());

function draw() {
  if (!state.image) return;
  const wide = Math.max(2, view.width / 300), size = Math.max(14, view.width / 45);
  pen.drawImage(state.image, 0, 0, view.width, view.height);
  const frame = (box, style, width, dash = []) => {
    pen.strokeStyle = style; pen.lineWidth = width; pen.setLineDash(dash);
    pen.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  };
  if ($("all").checked) for (const one of state.regions) frame(one.box, "#fffc", wide / 2, [wide * 2, wide]);
  pen.font = `600 ${size}px system-ui, sans-serif`; pen.textBaseline = "bottom";
  const shown = kept();
  for (const one of [...shown].reverse()) {
    const text = `${one.label} ${one.id ? `#${one.id}` : one.score.toFixed(2)}`;
    const style = hue(one);
    frame(one.box, style, wide);
    const y = Math.max(one.box[1], size * 1.2), x = one.box[0];
    pen.fillStyle = style; pen.fillRect(x - wide / 2, y - size * 1.2, pen.measureText(text).width + size * 0.6, size * 1.2);
    pen.fillStyle = "#fff"; pen.fillText(text, x + size * 0.3, y - size * 0.05);
  }
  if (state.lit) frame(state.lit, "#facc15", wide * 1.6);
  if (state.drawn) frame(state.drawn, "#facc15", wide, [wide * 2, wide]);
  list(shown);
}

function list(shown) {
  $("least").textContent = least().toFixed(2);
  const rows = shown.map(one => {
    const row = document.createElement("li"), button = document.createElement("button");
    const mark = document.createElement("i"), score = document.createElement("b");
    button.type = "button"; mark.style.background = hue(one); score.textContent = one.score.toFixed(2);
    button.append(mark, one.id ? `${one.label} #${one.id}` : one.label, score); row.append(button);
    if (state.scene) button.onclick = () => tell(one.box, state.scene, one.region);
    return row;
  });
  const absent = state.verb === "ask" ? [] : (state.verb === "detect" ? state.words.split(/[,，、]/) : [state.words])
    .map(word => word.trim()).filter(word => word && !shown.some(one => one.label === word));
  const summary = state.verb === "count" && state.words ? `${shown.length} × ${state.words}`
    : absent.length ? `not found: ${absent.join(", ")}` : "";
  $("answer").textContent = state.told || summary;
  $("about").hidden = !state.about;
  $("found").replaceChildren(...rows);
}

const place = event => {
  const area = view.getBoundingClientRect();
  const inside = (v, most) => Math.min(Math.max(v, 0), most);
  return [inside((event.clientX - area.left) / area.width * view.width, view.width),
    inside((event.clientY - area.top) / area.height * view.height, view.height)];
};
let start = null;
view.onpointerdown = event => { if (state.scene) { start = place(event); view.setPointerCapture(event.pointerId); } };
view.onpointermove = event => {
  if (!start) return;
  const [x, y] = place(event), [a, b] = start;
  state.drawn = [Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)]; draw();
};
view.onpointerup = event => {
  const box = state.drawn, [x, y] = place(event);
  start = null; state.drawn = null;
  const large = box && Math.min(box[2] - box[0], box[3] - box[1]) > view.width / 100;
  if (large) return tell(box, look([box]), 0);
  const area = one => (one.box[2] - one.box[0]) * (one.box[3] - one.box[1]);
  const hit = one => x >= one.box[0] && x <= one.box[2] && y >= one.box[1] && y <= one.box[3];
  const under = kept().some(hit) ? kept() : state.regions;
  const [first] = under.filter(hit).sort((a, b) => area(a) - area(b));
  if (first) tell(first.box, state.scene, first.region);
};
view.onpointercancel = () => { start = null; state.drawn = null; draw(); };

stage.onclick = event => { if (event.target !== view && event.target !== $("file")) $("file").click(); };
$("other").onclick = event => { event.preventDefault(); $("file").click(); };
$("file").onchange = () => { show($("file").files[0]); $("file").value = ""; };
$("ask").onsubmit = event => { event.preventDefault(); if (state.scene || film.player) run(); };
$("slider").oninput = () => film.player ? relink() : draw();
$("read").onclick = read;
$("more").onclick = more;
$("all").onchange = draw;
for (const radio of document.getElementsByName("verb")) radio.onchange = () => $("words").placeholder = HINTS[verb()];
addEventListener("dragover", event => { event.preventDefault(); stage.classList.add("over"); });
addEventListener("dragleave", () => stage.classList.remove("over"));
addEventListener("drop", event => { event.preventDefault(); stage.classList.remove("over"); show(event.dataTransfer.files[0]); });
addEventListener("paste", event => { if (event.clipboardData.files[0]) show(event.clipboardData.files[0]); });

const EXAMPLES = /* examples */ [];
for (const one of EXAMPLES) {
  const button = document.createElement("button"), image = new Image();
  button.type = "button"; button.title = one.words; image.src = one.image; image.alt = one.name;
  button.onclick = async () => {
    const data = await (await fetch(one.image)).blob();
    $("words").value = one.words; $("ask").elements.verb.value = "detect";
    show(new File([data], one.name, { type: data.type }));
  };
  button.append(image); $("examples").append(button);
}
