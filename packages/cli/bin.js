#!/usr/bin/env -S node --max-semi-space-size=4
/**
 * The entry point, in plain JavaScript: it runs as it is. `--version` loads nothing else. Everything else is in `dist/main.js`,
 * which is bundled from `src/main.ts`; Node caches its compiled code.
 *
 * A recording makes little garbage a second. By default Node lets it grow to 48 MiB before it looks for it; with 4 MiB a recording
 * takes a third less memory and no more processor time.
 */
import { readFileSync } from "node:fs"

// Everyone can read the list of processes. If an argument may hold a password, this title replaces the arguments there.
if (process.argv.some((arg) => arg.includes(":") && arg.lastIndexOf("@") > arg.indexOf(":"))) process.title = "sampleline"

const { engines, version } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8"))

/** `22.19` as a number that is larger for a newer version. */
const rank = (text) => {
  const [major, minor] = text.match(/\d+/g)
  return Number(major) * 1000 + Number(minor)
}

if (rank(process.versions.node) < rank(engines.node)) {
  process.stderr.write(`sampleline needs Node ${engines.node.replace(">=", "")} or newer; this is Node ${process.versions.node}\n`)
  process.exitCode = 1
} else if (process.argv[2] === "--version" || process.argv[2] === "-v") {
  process.stdout.write(`sampleline v${version}\n`)
} else {
  const { enableCompileCache } = await import("node:module")
  enableCompileCache()
  const { main } = await import("./dist/main.js")
  main(process.argv.slice(2), version)
}
