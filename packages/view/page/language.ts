/**
 * A browser may have a language that `Intl` refuses, such as `en-US@posix`. uPlot fails to load there, so this is imported before it.
 */
const isRefused = (language: string): boolean => {
  try {
    return Intl.getCanonicalLocales(language).length === 0
  } catch {
    return true
  }
}

if (isRefused(navigator.language)) {
  Object.defineProperty(navigator, "language", { value: "en-US", configurable: true })
}
