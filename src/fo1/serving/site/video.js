
/** A video is decoded here; its frames are asked about one after the other, and /v1/track says what belongs together. */
const film = { player: null, frames: [], links: 0, running: false };

function closeVideo() {
  if (film.player) URL.revokeObjectURL(film.player.src);
  Object.assign(film, { player: null, frames: [], running: false });
  $("film").hidden = true; $("go").textContent = "Go";
}

async function openVideo(file) {
  closeVideo();
  const player = document.createElement("video");
  Object.assign(player, { muted: true, playsInline: true, preload: "auto", src: URL.createObjectURL(file) });
  try {
    await new Promise((done, fail) => { player.onloadeddata = done; player.onerror = fail; });
  } catch { return say(`${file.name} is no video this browser can play`, true); }
  ++turn;
  Object.assign(state, { file, image: player, scene: null, regions: [], found: [], words: "", told: "", lit: null, about: null,
    drawn: null, verb: "detect" });
  $("ask").elements.verb.value = "detect";
  film.player = player; view.width = player.videoWidth; view.height = player.videoHeight;
  view.hidden = false; $("hint").hidden = true; stage.classList.add("full"); $("go").disabled = false;
  for (const id of ["jsonl", "mot"]) $(id).hidden = true;
  $("film").hidden = false; $("frame").max = 0;
  say(`${player.duration.toFixed(1)} s of video. Say what to follow.`); draw();
}

async function seek(time) {
  if (Math.abs(film.player.currentTime - time) > 1e-3) {
    const there = new Promise(done => { film.player.onseeked = done; });
    film.player.currentTime = time;
    await there;
  }
}

/** Looks at a frame every so often; Go stops it, and what was seen so far stays. */
async function follow() {
  if (film.running) { film.running = false; return; }
  const words = $("words").value.trim() || HINTS.detect, step = Math.max(0.04, +$("step").value || 0.2), started = performance.now();
  const { player } = film, frames = [], mine = () => film.frames === frames;
  Object.assign(state, { verb: "detect", words, told: "" });
  Object.assign(film, { frames, running: true });
  $("go").textContent = "Stop";
  try {
    for (let time = 0; time < player.duration - 1e-3 && film.running && mine(); time = frames.length * step) {
      await seek(time);
      pen.drawImage(player, 0, 0, view.width, view.height);
      const form = new FormData();
      form.append("image", await new Promise(done => view.toBlob(done, "image/jpeg", 0.9)), "frame.jpg");
      form.append("labels", words); form.append("threshold", "0.05");
      const said = await call("/v1/detect", form);
      if (!mine()) return;
      frames.push({ time, detections: said.detections });
      $("frame").max = frames.length - 1; $("frame").value = frames.length - 1;
      state.found = said.detections; draw();
      say(`${time.toFixed(1)} of ${player.duration.toFixed(1)} s, ${said.seconds.encode.toFixed(2)} + ${said.seconds.answer.toFixed(2)} s a frame`);
    }
    if (!mine()) return;
    const spent = (performance.now() - started) / 1000;
    film.running = false;
    await relink();
    say(`${frames.length} frames: ${spent.toFixed(1)} s. Move the frame to look at them.`);
  } catch (error) { say(error.message, true); }
  if (mine()) { film.running = false; $("go").textContent = "Go"; }
}

/** Numbers what the least score keeps; the model is not asked. */
async function relink() {
  if (film.running) return draw();
  const mine = ++film.links, { frames } = film;
  const kept = frames.map(one => one.detections.filter(seen => seen.score >= least()));
  const said = await call("/v1/track", { frames: kept.map(seen => seen.map(({ label, box }) => ({ label, box }))) });
  if (mine !== film.links || frames !== film.frames) return;
  for (const one of frames) for (const seen of one.detections) delete seen.id;
  kept.forEach((seen, n) => seen.forEach((one, i) => { one.id = said.ids[n][i]; }));
  const things = new Set(said.ids.flat()).size;
  state.told = `${things} track${things === 1 ? "" : "s"} in ${frames.length} frames`;
  offer(kept);
  await turnTo();
}

async function turnTo() {
  const frame = film.frames[+$("frame").value];
  if (!frame) return draw();
  await seek(frame.time);
  state.found = frame.detections; draw();
}

/** The tracks as files to save: JSON lines as `fo1 track` writes them, and MOTChallenge's text. */
function offer(kept) {
  const rows = kept.flatMap((seen, frame) => seen.map(one => ({ frame, time: +film.frames[frame].time.toFixed(3), id: one.id,
    label: one.label, box: one.box, score: one.score })));
  const mot = rows.map(({ frame, id, box: [a, b, c, d], score }) =>
    [frame + 1, id, a, b, +(c - a).toFixed(2), +(d - b).toFixed(2), score, -1, -1, -1].join(","));
  for (const [id, lines] of [["jsonl", rows.map(row => JSON.stringify(row))], ["mot", mot]]) {
    URL.revokeObjectURL($(id).href);
    $(id).href = URL.createObjectURL(new Blob(lines.map(line => line + "\n")));
    $(id).hidden = !rows.length;
  }
}

$("frame").oninput = () => { if (!film.running) turnTo(); };
