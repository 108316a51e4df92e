import { Effect } from "effect"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

/** Until the scope closes, a call of `node:fs` with a callback does nothing and fails with this code, or throws it. */
export const failingCall = (
  name: "fdatasync" | "fsync" | "closeSync" | "openSync" | "writeSync",
  code: string,
  isFailing = () => true
) => {
  const real = fs[name] as (...args: ReadonlyArray<unknown>) => unknown
  const failing = (...args: ReadonlyArray<unknown>) => {
    if (!isFailing()) return real(...args)
    const error = Object.assign(new Error(`${code}: it failed, ${name}`), { code })
    const answer = args.at(-1)
    if (typeof answer !== "function") throw error
    setImmediate(() => answer(error))
  }
  return replaceCall(name, failing)
}

/** Until the scope closes, a call of `node:fs` never answers. Gives how often it was called. */
export const silentCall = (name: "stat") => {
  let calls = 0
  return Effect.as(replaceCall(name, () => calls++), () => calls)
}

const replaceCall = (name: keyof typeof fs, call: unknown) => {
  const real = fs[name]
  const replace = (call: unknown) =>
    Effect.sync(() => {
      Object.assign(fs, { [name]: call })
      syncBuiltinESMExports()
    })
  return Effect.acquireRelease(replace(call), () => replace(real))
}
