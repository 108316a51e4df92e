/**
 * Signals that stop or end the process at once, as long as nobody listens: Ctrl-Z and Ctrl-\. What is done to the terminal is undone
 * before.
 */
const SIGNALS = ["SIGTSTP", "SIGQUIT"] as const

const actions = new Set<() => void>()

/** Runs the action before such a signal does what it does. Returns what ends that. */
export const beforeAbruptSignals = (action: () => void): () => void => {
  if (actions.size === 0) { for (const signal of SIGNALS) process.on(signal, onSignal) }
  actions.add(action)
  return () => {
    actions.delete(action)
    if (actions.size === 0) { for (const signal of SIGNALS) process.off(signal, onSignal) }
  }
}

const onSignal = (signal: NodeJS.Signals): void => {
  for (const action of actions) action()
  process.off(signal, onSignal)
  // A stopped process goes on behind this line.
  process.kill(process.pid, signal)
  process.on(signal, onSignal)
}
