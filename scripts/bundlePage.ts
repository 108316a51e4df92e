/**
 * Bundles the page for the browser into `packages/view/dist/page`: a few files that need nothing from elsewhere.
 */
import { copyFileSync, rmSync } from "node:fs"
import * as path from "node:path"
import { build } from "rolldown"

const page = path.join(import.meta.dirname, "../packages/view/page")

/** Where the page is. */
export const pageDist = path.join(import.meta.dirname, "../packages/view/dist/page")

rmSync(pageDist, { recursive: true, force: true })
/** What was bundled. */
export const { output: pageOutput } = await build({
  input: { page: path.join(page, "main.ts") },
  platform: "browser",
  // The page has modules that are imported for what they do.
  treeshake: { moduleSideEffects: () => true },
  tsconfig: path.join(page, "tsconfig.json"),
  output: { dir: pageDist, format: "esm", minify: true }
})
for (const file of ["index.html", "page.css", "icon.svg"]) {
  copyFileSync(path.join(page, file), path.join(pageDist, file))
}
