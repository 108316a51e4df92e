/**
 * The gases that devices know. A gas's place in the list is its number.
 */
export const GASES = [
  { name: "Air", longName: "Air" },
  { name: "Ar", longName: "Argon" },
  { name: "CH4", longName: "Methane" },
  { name: "CO", longName: "Carbon Monoxide" },
  { name: "CO2", longName: "Carbon Dioxide" },
  { name: "C2H6", longName: "Ethane" },
  { name: "H2", longName: "Hydrogen" },
  { name: "He", longName: "Helium" },
  { name: "N2", longName: "Nitrogen" },
  { name: "N2O", longName: "Nitrous Oxide" },
  { name: "Ne", longName: "Neon" },
  { name: "O2", longName: "Oxygen" }
] as const

export type GasName = (typeof GASES)[number]["name"]
