// Serves variants in the browser and counts what comes of them. Documented in docs/serving-js.md.
// The split is computed here from the rule set, by the steps of clients/vectors: no request for each visitor.

// SHA-256's constants: the first 32 bits of the fractions of the roots of the first primes.
const bits = (x) => ((x % 1) * 2 ** 32) | 0;
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const START = primes.slice(0, 8).map((p) => bits(Math.sqrt(p)));
const ROUND = primes.map((p) => bits(Math.cbrt(p)));

// An integer as four bytes, and back.
const split = (x) => [24, 16, 8, 0].map((n) => (x >> n) & 255);
const join = (bytes, at) => (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];

// The first two words of the SHA-256 of some bytes, to which it adds the padding.
const w = new Int32Array(64);
function sha256(bytes) {
  const length = split(bytes.length * 8);
  bytes.push(128, ...Array(((55 - bytes.length) & 63) + 4).fill(0), ...length);
  const state = START.slice();
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let block = 0; block < bytes.length; block += 64) {
    let [a, b, c, d, e, f, g, h] = state;
    for (let n = 0; n < 64; n++) {
      const x = w[n - 15], y = w[n - 2];
      w[n] = n < 16 ? join(bytes, block + n * 4)
        : w[n - 16] + w[n - 7] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[n] + w[n];
      const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((x, n) => (state[n] = (state[n] + x) | 0));
  }
  return [state[0] >>> 0, state[1] >>> 0];
}

// The bytes of a text behind their number. Browsers take longer to make an array of bytes than to fill one again.
const encoder = new TextEncoder();
let room = new Uint8Array(256);
function framed(text) {
  if (room.length < 3 * text.length) room = new Uint8Array(3 * text.length);
  const { written } = encoder.encodeInto(text, room);
  const bytes = [0, 0, 0, 0, ...split(written)];
  for (let n = 0; n < written; n++) bytes.push(room[n]);
  return bytes;
}

// -ln(u), u from the first 53 bits of the hash.
function time(bytes) {
  const [high, low] = sha256(bytes);
  return -Math.log((high * 2 ** 21 + (low >>> 11) + 0.5) / 2 ** 53);
}

// The key of the variant that the unit sees; shares are integers of 1/10,000.
export function assign(experiment, shares, unit) {
  const start = framed(experiment), end = framed(unit);
  let best, least = Infinity;
  for (const key of Object.keys(shares).sort()) {
    const t = shares[key] > 0 ? time([...start, ...framed(key), ...end]) / (shares[key] / 1e4) : Infinity;
    if (t < least) [best, least] = [key, t];
  }
  return best;
}

// localStorage, or memory where the browser refuses it.
const memory = {};
const store = {
  get(name) {
    try { return JSON.parse(localStorage.getItem("bandit:" + name)); } catch { return memory[name] ?? null; }
  },
  set(name, value) {
    memory[name] = value;
    try { localStorage.setItem("bandit:" + name, JSON.stringify(value)); } catch { /* full or refused */ }
  },
  remove(name) {
    delete memory[name];
    try { localStorage.removeItem("bandit:" + name); } catch { /* refused */ }
  },
  names(start) {
    let names = Object.keys(memory);
    try { names = Object.keys(localStorage).map((key) => key.replace(/^bandit:/, "")); } catch { /* refused */ }
    return names.filter((name) => name.startsWith(start));
  },
};

const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (x) => (x + 256).toString(16).slice(1)).join("");
const MOST_BATCHES = 50;
const KEY_LIFE = 23 * 36e5; // the service forgets a key after a day: an older batch could count twice

// Answers that may be another one later: nothing, or the batch waits for its impressions, its turn or the service.
const waits = (status, code) => status >= 500 || [0, 401, 403, 408, 429].includes(status)
  || /out_of_order|in_use/.test(code);

export function createBandit({ url, apiKey, unit, timeout = 500, flushAfter = 2000 }) {
  const base = url.replace(/\/$/, "");
  let rules = store.get("rules");
  let skew = 0;
  let timer;
  let rows = {};
  const shown = {};
  if (unit?.trim?.() === "") throw RangeError("bandit: unit must not be blank; leave it out to have one made");
  if (unit == null) {
    unit = store.get("unit") ?? random();
    store.set("unit", unit);
  }

  const find = (experiment) => rules?.experiments.find(({ key }) => key === experiment);
  const dayAt = (moment) => new Date(moment).toLocaleDateString("sv", { timeZone: rules.time_zone });
  const today = () => dayAt(Date.now() + skew);

  async function refresh() {
    const response = await fetch(base + "/api/v1/ruleset/", apiKey ? { headers: { "X-API-Key": apiKey } } : {});
    const found = response.ok && (await response.json());
    if (found?.version !== 1) return;
    rules = found;
    // A device whose clock is days off counts on the service's day.
    skew = Date.parse(rules.date) - Date.parse(dayAt(Date.now()));
    store.set("rules", rules);
  }

  function variant(experiment, fallback = "control") {
    const rule = find(experiment);
    if (!(experiment in shown)) {
      const seen = store.get("seen:" + experiment);
      const stays = rule && seen?.day === today() && rule.shares[seen.variant];
      shown[experiment] = { counts: rule?.counts, key: stays ? seen.variant : rule ? assign(experiment, rule.shares, unit) : fallback };
    }
    return shown[experiment].key;
  }

  function count(experiment, { variant, day }, change) {
    const row = (rows[[experiment, variant, day]] ??= { experiment, variant, day });
    for (const [name, value] of Object.entries(change)) {
      row[name] = name === "values" ? [...(row[name] ?? []), ...value] : (row[name] ?? 0) + value;
    }
    timer ??= setTimeout(flush, flushAfter);
  }

  function exposure(experiment) {
    const key = variant(experiment);
    // A page that showed the fallback before any rules were there is no exposure.
    if (!shown[experiment].counts) return null;
    let seen = store.get("seen:" + experiment);
    if (seen?.day !== today()) {
      seen = { variant: key, day: today() };
      store.set("seen:" + experiment, seen);
      count(experiment, seen, { impressions: 1 });
    }
    return seen;
  }

  // The first of each kind that follows an exposure counts, on its day.
  function act(experiment, name, change) {
    const seen = store.get("seen:" + experiment);
    if (!seen || seen[name] || find(experiment)?.counts === false) return false;
    store.set("seen:" + experiment, { ...seen, [name]: 1 });
    count(experiment, seen, change);
    return true;
  }
  const click = (experiment) => act(experiment, "clicked", { clicks: 1 });
  const conversion = (experiment, value) => {
    if (value != null && !(value >= 0 && value < 1e12)) throw RangeError("bandit: value must be an amount from 0 to 10^12");
    return act(experiment, "converted", { conversions: 1, ...(value == null ? {} : { values: [Number(value).toFixed(4)] }) });
  };

  // Each batch keeps its key until it is answered: sent twice, it counts once. One experiment in each, so that a
  // refusal touches no other.
  function pack() {
    clearTimeout(timer);
    timer = undefined;
    const groups = {};
    for (const row of Object.values(rows)) (groups[row.experiment] ??= []).push(row);
    rows = {};
    for (const increments of Object.values(groups)) {
      const key = random();
      store.set(`out:${Date.now()}-${key}`, { api_key: apiKey, idempotency_key: key, increments });
    }
    const names = store.names("out:").sort();
    const old = (name, n) => n < names.length - MOST_BATCHES || Date.now() - parseInt(name.slice(4)) > KEY_LIFE;
    names.filter(old).forEach(store.remove);
    return store.names("out:").sort();
  }

  // Text, with the key in the body: a browser asks no permission for such a request to another host.
  async function send(name) {
    let status = 0, code = "";
    try {
      const response = await fetch(base + "/api/v1/counts/", { method: "POST", keepalive: true, body: JSON.stringify(store.get(name)) });
      status = response.status;
      if (!response.ok) ({ code = "" } = await response.json());
    } catch { /* no answer, or none of the service */ }
    if (!waits(status, code)) store.remove(name);
  }

  async function flush() {
    for (const name of pack()) await send(name);
  }

  function leave({ type }) {
    if (type !== "pagehide" && document.visibilityState !== "hidden") return;
    for (const name of pack()) {
      if (navigator.sendBeacon?.(base + "/api/v1/counts/", JSON.stringify(store.get(name)))) store.remove(name);
    }
  }
  document.addEventListener("visibilitychange", leave);
  addEventListener("pagehide", leave); // some browsers do not tell a page that is left that it is hidden

  const fresh = refresh().catch(() => {});
  const late = new Promise((resolve) => setTimeout(resolve, timeout));
  const ready = rules ? Promise.resolve() : Promise.race([fresh, late]);
  if (store.names("out:").length) timer = setTimeout(flush, flushAfter);

  return { unit, ready, fresh, variant, exposure, click, conversion, flush };
}
