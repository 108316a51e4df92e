/**
 * A limit for a peer that sends without end. No serial line carries as much as a network can, so more than this is no
 * instrument. Without the limit, the process would have no time for anything else, not even for Ctrl-C.
 */
interface Source {
  readonly pause: () => unknown
  readonly resume: () => unknown
}

/** No serial line carries this much in the time: it would be more than 10 Mbaud. */
const MOST_BYTES = 65_536
const WINDOW_MS = 50

/** A handler for the chunks of a source. A source that has sent too much in a window is paused until its end. */
export const throttled = (source: Source, onData: (chunk: Uint8Array) => void): (chunk: Uint8Array) => void => {
  let bytes = 0
  let window: NodeJS.Timeout | undefined
  const endWindow = () => {
    const isPaused = bytes > MOST_BYTES
    window = undefined
    bytes = 0
    if (isPaused) source.resume()
  }
  return (chunk) => {
    onData(chunk)
    bytes += chunk.length
    if (bytes > MOST_BYTES) source.pause()
    window ??= setTimeout(endWindow, WINDOW_MS).unref()
  }
}
