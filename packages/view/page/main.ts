/**
 * The page of a recording in the browser. What is recorded comes from `/api`, what goes on from `/live`.
 */
import { getView, postSession, Refusal, type View } from "./api.ts"
import { attachControls } from "./controls.ts"
import { attachDataTable } from "./dataTable.ts"
import { deviceTable } from "./deviceTable.ts"
import { byId, setText } from "./dom.ts"
import { attachEventList } from "./eventList.ts"
import { listen } from "./live.ts"
import { notices } from "./notices.ts"
import { Page } from "./Page.ts"
import { Settings } from "./Settings.ts"
import { speech } from "./speech.ts"

const start = (view: View): void => {
  const page = new Page(view, new Settings(view.title), byId("plot-list"))
  page.parts = [attachControls(page), notices, deviceTable, attachEventList(page), attachDataTable(page), speech()]
  listen({ onState: (state, isFirst) => page.setState(state, isFirst), onLost: () => page.lose() })
  // For tests, and for pages that people build around this one.
  Object.assign(window, { sampleline: page })
}

/** A token may stand behind `#token=` in the address. It is used once and taken away. */
const tokenOfAddress = (): string | null => {
  const token = new URLSearchParams(location.hash.slice(1)).get("token")
  if (token !== null) history.replaceState(null, "", location.pathname + location.search)
  return token
}

/** Without a token in the address, a person is asked. */
const enter = (token: string | null, refusal: Refusal): Promise<void> => {
  if (token !== null) return postSession(token).then(getView).then(start)
  byId("token").hidden = false
  setText(byId("state-text"), "A token is needed")
  setText(byId("token-error"), refusal.message)
  byId("token").addEventListener("submit", (event) => {
    event.preventDefault()
    postSession((byId("token-text") as HTMLInputElement).value.trim()).then(() => location.reload()).catch(report)
  })
  return Promise.resolve()
}

const report = (error: unknown): void => {
  setText(byId("state-text"), "Not connected")
  byId("problem").hidden = false
  setText(byId("problem"), `${error instanceof Error ? error.message : String(error)}. Load the page again.`)
}

getView().then(start).catch((error: unknown) => {
  if (!(error instanceof Refusal) || error.status !== 401) throw error
  return enter(tokenOfAddress(), error)
}).catch(report)
