/**
 * What the server tells of its own accord. Nothing is heard while the page is hidden. A page that hears nothing for 15 seconds says so
 * and tries again.
 */
import type { State } from "./api.ts"

export interface Listener {
  /** `isFirst`: of this connection. Anything may have happened since the last one. */
  readonly onState: (state: State, isFirst: boolean) => void
  readonly onLost: () => void
}

/** Milliseconds, these. */
const SILENCE = 15_000
const BETWEEN_TRIES = 2_000

export const listen = ({ onLost, onState }: Listener): void => {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const after = (millis: number, then: () => void) => {
    clearTimeout(timer)
    timer = setTimeout(then, millis)
  }
  const close = () => {
    clearTimeout(timer)
    source?.close()
    source = undefined
  }
  const lose = () => {
    close()
    onLost()
    after(BETWEEN_TRIES, open)
  }
  const open = () => {
    close()
    if (document.hidden) return
    let isFirst = true
    source = new EventSource("/live")
    after(SILENCE, lose)
    source.addEventListener("error", lose)
    source.addEventListener("state", ({ data }) => {
      after(SILENCE, lose)
      onState(JSON.parse(data), isFirst)
      isFirst = false
    })
  }
  document.addEventListener("visibilitychange", () => document.hidden ? close() : open())
  open()
}
