/**
 * Drivers are optional packages. A driver is loaded when a sink opens, never when the sink's module is imported.
 */
import { SinkDependencyError } from "@sampleline/core"
import { Effect } from "effect"
import { createRequire } from "node:module"
import * as path from "node:path"

const missing = (sink: string, name: string, packages: ReadonlyArray<string>) =>
  new SinkDependencyError({ sink, missing: name, install: `npm install ${packages.join(" ")}` })

/** The packages that `load` imports. Fails with the command that installs what is missing. */
export const loadDriver = <A>(
  sink: string,
  packages: ReadonlyArray<string>,
  load: () => Promise<A>
): Effect.Effect<A, SinkDependencyError> =>
  Effect.tryPromise({
    try: load,
    catch: (cause) =>
      missing(sink, packages.find((name) => String(cause).includes(`'${name}'`)) ?? packages.join(", "), packages)
  })

/** Fails if a package is not installed. Does not load it. */
export const findDriver = (sink: string, name: string): Effect.Effect<void, SinkDependencyError> =>
  Effect.try({
    try: () => {
      // A CommonJS bundle has no `import.meta.url`.
      const here: string | undefined = import.meta.url
      createRequire(here ?? path.resolve("program.js")).resolve(name)
    },
    catch: () => missing(sink, name, [name])
  })
