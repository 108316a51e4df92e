#!/usr/bin/env node
/**
 * The entry point, in plain JavaScript: it runs as it is. `--version` loads nothing else. Everything else is in `dist/main.js`,
 * which is bundled from `src/main.ts`; Node caches its compiled code.
 */
import { readFileSync } from "node:fs"
import { enableCompileCache } from "node:module"

// Everyone can read the list of processes. If an argument may hold a password, this title replaces the arguments there.
if (process.argv.some((arg) => /:.*@/.test(arg))) process.title = "sampleline"

const { version } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8"))

if (process.argv[2] === "--version" || process.argv[2] === "-v") {
  process.stdout.write(`sampleline v${version}\n`)
} else {
  enableCompileCache()
  const { main } = await import("./dist/main.js")
  main(process.argv.slice(2), version)
}
