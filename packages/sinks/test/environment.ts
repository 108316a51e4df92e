import { Effect, type Scope } from "effect"

/** Sets `HOME` and the variables of libpq, and no others of libpq, until the scope closes. */
export const environment = (variables: { readonly [name: string]: string }): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      for (const name of Object.keys(before)) if (name.startsWith("PG")) delete process.env[name]
      Object.assign(process.env, variables)
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
        Object.assign(process.env, before)
      })
  ))
