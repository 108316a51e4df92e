/**
 * Drivers are optional packages. A driver is loaded when a sink opens, never when the sink's module is imported.
 */
import { isNotInstalled, SinkDependencyError, SinkOpenError } from "@sampleline/core"
import { Effect } from "effect"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileOpenError, openFailure, type Writer } from "./FileFailure.ts"

/** The packages that `load` imports. Fails with the command that installs what is missing. */
export const loadDriver = <A>(
  writer: Writer,
  packages: ReadonlyArray<string>,
  load: () => Promise<A>
): Effect.Effect<A, SinkDependencyError | SinkOpenError> =>
  Effect.tryPromise({
    try: load,
    catch: (cause) =>
      loadError(
        writer,
        packages.find((name) => String(cause).includes(`'${name}'`)) ?? packages.join(", "),
        packages,
        cause
      )
  })

/** Fails if a package is not installed. Does not load it. */
export const findDriver = (
  writer: Writer,
  name: string
): Effect.Effect<void, SinkDependencyError | SinkOpenError> =>
  Effect.try({
    try: () => {
      // A CommonJS bundle has no `import.meta.url`.
      const here: string | undefined = import.meta.url
      createRequire(here ?? path.resolve("program.js")).resolve(name)
    },
    catch: (cause) => loadError(writer, name, [name], cause)
  })

const loadError = (
  writer: Writer,
  name: string,
  packages: ReadonlyArray<string>,
  cause: unknown
): SinkDependencyError | SinkOpenError => {
  const reason = isNotInstalled(cause) ? openFailure() : cause
  if (reason === undefined) {
    return new SinkDependencyError({ sink: writer.sink, missing: name, install: `npm install ${packages.join(" ")}` })
  }
  const { detail } = fileOpenError(writer, reason)
  return new SinkOpenError({
    ...writer,
    reason: "Unknown",
    detail: `the package ${name} cannot be loaded: ${detail}`,
    cause: reason
  })
}
