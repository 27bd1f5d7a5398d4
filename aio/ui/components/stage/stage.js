/** The stage: one frame of a film, large; it moves through the film, and carries the probe. */
import { Theme } from "./colours.js";
import { Controls } from "./controls.js";
import { View, draw } from "./draw.js";
import { films } from "./film.js";
import { Handle } from "./handle.js";
import { passage, screening } from "./journey.js";
import { drawLegend } from "./legend.js";
import { Outbox } from "./messages.js";
import { pair } from "./motion.js";
import { Projector } from "./scene.js";
import { Painter, Surface, element } from "./surface.js";

const PROBE_DIGITS = 4;

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * @typedef {object} Header what aio/ui/stage.py sends
 * @property {string} film the key of its strip @property {string} chosen the name of a frame
 * @property {number} height of the picture @property {string} label
 * @property {boolean} displacement @property {import("./scene.js").Probe | null} probe
 * @property {{choose: number, probe: number}} answers the newest messages that the data know
 */

export class Stage {
  #root = element("div", "film-stage");
  #legend = element("div", "film-stage-legend");
  #area = element("div", "film-stage-picture");
  #image = element("div", "film-stage-image");
  #surface = new Surface();
  #controls = new Controls({
    toggle: () => this.#toggle(),
    scrub: (position) => this.#scrub(position),
    release: () => this.#release(),
  });
  /** @type {View | undefined} */
  #view;
  #handle = new Handle(this.#area, () => this.#view, (place, final) => this.#moveProbe(place, final));
  #painter = new Painter(this.#area, (now) => this.#paint(now));
  #choices = new Outbox((value) => this.#report("choose", value));
  #probes = new Outbox((value) => this.#report("probe", value));
  /** @type {(event: string, value: object) => void} */
  #report = () => {};
  #forget = () => {};
  /** @type {Header | undefined} */
  #header;
  #line = "";
  /** @type {import("./film.js").Film | undefined} */
  #film;
  /** @type {Projector | undefined} */
  #projector;
  #position = 0;
  /** @type {import("./journey.js").Journey | null} */
  #journey = null;
  #playing = false;
  /** Left between frames by the visitor, and not to be moved from there by data. */
  #paused = false;
  /** The frame that Python names, or is being told. */
  #told = "";
  /** The probe as the visitor has it and Python may not know it yet. @type {{frame: string, place: [number, number]} | null} */
  #own = null;
  /** Draws to be counted: those that data or the end of a journey asked for. */
  #counts = false;
  #frames = 0;
  #look = "";
  #vertices = new Float32Array();

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.#root.dataset.frame = "0";
    this.#root.tabIndex = -1; // a click beside the controls leaves the keys to the stage
    this.#root.positions = () => this.#vertices.slice();
    this.#root.addEventListener("keydown", (event) => this.#pressed(event));
    // An image may hold no slider: so the image that screen readers meet lies, empty, over the canvas.
    this.#image.role = "img";
    this.#area.prepend(this.#surface.canvas, this.#image);
    this.#root.append(this.#legend, this.#area, this.#controls.node);
    parent.append(this.#root);
  }

  /** @param {Header} header @param {string} line the same as text @param {(event: string, value: object) => void} report */
  update(header, line, report) {
    const before = this.#header;
    this.#report = report;
    this.#header = header;
    this.#root.style.setProperty("--film-height", `${header.height}px`);
    this.#choices.answered(header.answers.choose);
    this.#probes.answered(header.answers.probe);
    if (!this.#choices.waiting) this.#told = header.chosen;
    if (before?.film !== header.film) {
      this.#forget();
      this.#forget = films.listen(header.film, () => this.#filmed());
    }
    if (!this.#handle.held && !this.#probes.waiting) this.#own = null;
    if (line !== this.#line || !this.#film) this.#counts = true;
    this.#line = line;
    this.#filmed(before?.chosen !== header.chosen);
  }

  destroy() {
    this.#forget();
    this.#painter.stop();
    this.#choices.stop();
    this.#probes.stop();
  }

  /** Takes the newest film, and goes where Python says. */
  #filmed(changed = false) {
    const film = films.get(this.#header.film);
    const index = film?.index(this.#header.chosen) ?? -1;
    if (index < 0) return; // on its way: what is on the screen stays there
    const first = !this.#film;
    if (film !== this.#film) {
      const names = (of) => of?.frames.map(({ name }) => name).join();
      if (names(film) !== names(this.#film)) this.#stay(index);
      this.#film = film;
      this.#projector = new Projector(film);
      this.#counts = true;
      this.#controls.fit(film);
      drawLegend(this.#legend, film);
    }
    const heading = this.#journey?.to ?? this.#position;
    const free = this.#playing || this.#paused || this.#controls.scrubbing;
    if (!first && heading !== index && (changed ? !this.#controls.scrubbing : !free && !this.#choices.waiting)) {
      this.#travel(passage(film, this.#position, index), false);
    }
    this.#painter.request();
  }

  #stay(position) {
    this.#position = position;
    this.#journey = null;
    this.#playing = this.#paused = false;
  }

  /** @param {import("./journey.js").Journey} journey @param {boolean} playing */
  #travel(journey, playing) {
    if (!playing && (calm.matches || !this.#painter.visible)) {
      this.#stay(journey.to);
      this.#counts = true;
    } else {
      this.#journey = journey;
      this.#playing = playing;
      this.#paused = false;
    }
    this.#painter.request();
  }

  /** Goes to a frame on the visitor's word, and tells Python. */
  #choose(k) {
    const to = Math.max(0, Math.min(this.#film.last, k));
    if ((this.#journey?.to ?? this.#position) !== to || this.#playing) {
      this.#travel(passage(this.#film, this.#position, to), false);
    }
    this.#tell(to);
  }

  #tell(k) {
    const { name } = this.#film.frames[k];
    if (name === this.#told) return;
    this.#told = name;
    this.#choices.put({ frame: name });
  }

  #toggle() {
    if (!this.#film) return;
    if (this.#playing) {
      this.#playing = false;
      this.#journey = null;
      this.#paused = true;
    } else {
      const start = this.#position >= this.#film.last ? 0 : this.#position;
      this.#position = start;
      this.#travel(screening(this.#film, start), true);
    }
    this.#painter.request();
  }

  #scrub(position) {
    this.#stay(position);
    this.#painter.request();
  }

  #release() {
    if (this.#film) this.#choose(Math.round(this.#position));
  }

  #moveProbe(place, final) {
    if (!this.#film || !this.#header.probe) return;
    if (this.#journey || this.#position % 1) {
      this.#stay(Math.round(this.#position)); // a place is told in a whole frame
      this.#tell(this.#position);
    }
    const { name } = this.#film.frames[this.#position];
    this.#own = { frame: name, place };
    this.#probes.put({ frame: name, x: place[0], y: place[1] }, final);
    this.#painter.request();
  }

  #pressed(event) {
    if (!this.#film || event.ctrlKey || event.altKey || event.metaKey) return;
    const onButton = event.target instanceof HTMLButtonElement;
    const at = this.#journey && !this.#playing ? this.#journey.to : this.#position;
    const actions = {
      " ": () => this.#toggle(),
      ArrowRight: () => this.#choose(Math.floor(at) + 1),
      ArrowLeft: () => this.#choose(Math.ceil(at) - 1),
      Home: () => this.#choose(0),
      End: () => this.#choose(this.#film.last),
    };
    actions.ArrowUp = actions.ArrowRight;
    actions.ArrowDown = actions.ArrowLeft;
    const action = actions[event.key];
    if (!action || (onButton && event.key === " ")) return; // the button answers to the space bar itself
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  #paint(now) {
    if (!this.#film) return;
    this.#advance(now);
    const theme = new Theme(this.#root);
    const probe = this.#probe();
    const scene = this.#projector.scene(this.#position, probe);
    const own = this.#own && this.#film.frames[this.#position]?.name === this.#own.frame ? this.#own.place : null;
    if (own) scene.probe = own;
    const side = this.#painter.width;
    const look = [theme.id, side, devicePixelRatio].join("|");
    if (look !== this.#look) {
      this.#counts ||= this.#look !== "" && !this.#look.startsWith(theme.id);
      this.#legend.style.setProperty("--film-scale", theme.gradient(0.55));
    }
    this.#look = look;
    this.#view = new View(this.#film.extent, side, true);
    const { displacement } = this.#header;
    draw(this.#surface.cleared(side), this.#view, scene, theme, { displacement, probe: probe !== null });
    this.#vertices = scene.vertices;
    this.#say(scene);
    if (this.#counts) this.#root.dataset.frame = String(++this.#frames);
    this.#counts = false;
    if (this.#journey) this.#painter.request();
  }

  #advance(now) {
    if (!this.#journey) return;
    const { to } = this.#journey;
    const position = this.#journey.at(now);
    this.#position = calm.matches ? Math.floor(position) : position;
    if (position !== to) return;
    const played = this.#playing;
    this.#stay(to);
    this.#counts = true;
    if (played) this.#tell(to);
  }

  /** The probe, where it fits the film: after a change of settings either may arrive first. */
  #probe() {
    const { probe } = this.#header;
    return probe && probe.path.length === this.#film.frames.length ? probe : null;
  }

  /** Says in words and attributes what is seen. */
  #say(scene) {
    const { frames } = this.#film;
    const nearest = Math.round(this.#position);
    const coming = Math.ceil(this.#position);
    const { title, note } = frames[nearest];
    this.#controls.show({
      playing: this.#playing,
      position: this.#position,
      title: frames[coming].title,
      happening: this.#film.happening(coming),
    });
    this.#handle.show(scene.probe, `Probe in the frame ${title}`);
    const { dataset } = this.#root;
    dataset.position = String(Number(this.#position.toFixed(4)));
    if (scene.probe) dataset.probe = `${scene.probe[0].toFixed(PROBE_DIGITS)},${scene.probe[1].toFixed(PROBE_DIGITS)}`;
    else delete dataset.probe;
    if (this.#journey || this.#controls.scrubbing) return; // words in passing would only be noise
    dataset.chosen = frames[nearest].name;
    const probe = scene.probe ? `Probe at ${pair(scene.probe)}.` : "";
    const label = [this.#header.label, `${title}: ${note}`, probe].filter(Boolean).join(" ");
    if (this.#image.ariaLabel !== label) this.#image.ariaLabel = label;
  }
}
