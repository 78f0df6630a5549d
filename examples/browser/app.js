import { init } from "@trailsd/client"

const at = (id) => document.getElementById(id)
const [connectForm, reportForm] = [at("connect"), at("report")]
const LOG_LINES = 50

/** How long a connection may take before the page looks for what is wrong, milliseconds. */
const PATIENCE_MS = 2000

let node = null

at("server").value = new URLSearchParams(location.search).get("server") ?? at("server").value

const note = (text) => {
  const line = document.createElement("li")
  line.textContent = text
  at("log").append(line)
  if (at("log").children.length > LOG_LINES) at("log").firstElementChild.remove()
}

/** A payload as it was typed: JSON where it is JSON, else text. */
const payloadOf = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The server that an envelope names. */
const serverOf = (info) => {
  try {
    return JSON.parse(atob(info)).serverEp
  } catch {
    return ""
  }
}

/** A browser does not tell a page why its WebSocket was refused; whether somebody answers at all can be found out. */
const explain = async (url) => {
  const health = new URL("/readyz", url.replace(/^ws/, "http"))
  const answers = await fetch(health, { mode: "no-cors" }).then(
    () => true,
    () => false
  )
  return answers
    ? `The server answers, but not to this page. Start it with TRAILS_ALLOWED_ORIGINS=${location.origin}`
    : `Nothing answers at ${url}. Start it: TRAILS_ALLOWED_ORIGINS=${location.origin} npm start`
}

const setText = (element, text) => {
  // Unchanged text is left alone, so that a screen reader hears each change once.
  if (element.textContent !== text) element.textContent = text
}

const showHint = (text) => {
  at("hint").hidden = text === ""
  setText(at("hint"), text)
}

const show = () => {
  const { reason, state, ...counts } = node?.stats() ?? { state: "none", reason: null }
  const isOver = state === "ended" || state === "refused" || state === "inactive"
  connectForm.querySelector("button").disabled = node !== null && !isOver
  reportForm.querySelector("fieldset").disabled = node === null || isOver
  at("state").dataset.state = state
  setText(at("state"), state === "none" ? "not connected" : reason === null ? state : `${state}: ${reason}`)
  const rows = node === null ? {} : { node: node.appId, ...counts }
  at("stats").replaceChildren(
    ...Object.entries(rows).flatMap(([term, value]) => {
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")]
      dt.textContent = term
      dd.textContent = String(value)
      return [dt, dd]
    })
  )
  if (state !== "connecting") showHint("")
}

const connect = async () => {
  const info = at("info").value.trim()
  const root = { appName: at("name").value, serverEp: at("server").value }
  const mine = await init({ ...(info === "" ? { root } : { info }), warn: note })
  node = mine
  if (node.isActive) note(`node ${node.appId}`)
  node.onCancel(({ reason }) => note(`told to stop: ${reason}`))
  show()
  if ((await mine.ready({ timeoutMs: PATIENCE_MS })) || mine.stats().state !== "connecting") return
  const hint = await explain(info === "" ? root.serverEp : serverOf(info))
  if (node === mine && mine.stats().state === "connecting") showHint(hint)
}

const actions = {
  status: (payload) => node.status(payload),
  result: (payload) => node.result(payload),
  error: (payload) => node.error(typeof payload === "string" ? payload : "an error", payload),
  shutdown: async () => ((await node.shutdown()) ? "everything is stored" : "not everything could be stored")
}

const report = async (action) => {
  const answer = await actions[action](payloadOf(at("payload").value))
  note(`${action}: ${typeof answer === "string" ? answer : answer.queued ? "queued" : answer.message}`)
  show()
}

connectForm.addEventListener("submit", (event) => {
  event.preventDefault()
  void connect()
})
reportForm.addEventListener("submit", (event) => {
  event.preventDefault()
  void report(event.submitter?.name ?? "status")
})

setInterval(show, 250)
show()
