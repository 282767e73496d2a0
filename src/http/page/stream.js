// Asks the service and follows its events. EventSource cannot send a token, so events are read from
// a fetch; a stream that says nothing for a while counts as lost.

const SILENCE = 6000;

export class Refused extends Error {}

function headers() {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function open(path, signal) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store", signal });
  if (answer.status === 401) throw new Refused("a token is needed");
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error ?? `the service answered ${answer.status}`);
  }
  return answer;
}

/** What the API says at a path. */
export async function get(path) {
  return (await open(path, AbortSignal.timeout(SILENCE * 2))).json();
}

/** Calls `take` with each event until the stream ends or is silent; then throws. */
export async function follow(path, take) {
  const stop = new AbortController();
  let timer;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(new Error("the service is silent")), SILENCE);
  };
  wait();
  try {
    const answer = await open(path, stop.signal);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the service ended the stream");
      wait();
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const data = event.split("\n").filter((line) => line.startsWith("data: "));
        if (data.length) take(JSON.parse(data.map((line) => line.slice(6)).join("\n")));
      }
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}
