/**
 * The name that a mistyped one probably means: the name with the fewest changed letters, if these are at most `mostChanges` and at
 * most half of the typed letters; undefined if no name is so near.
 */
export const nearestName = (typed: string, names: readonly string[], mostChanges: number): string | undefined => {
  const [first] = names
    .map((name) => ({ name, distance: distanceOf(typed, name) }))
    .sort((a, b) => a.distance - b.distance)
  return first && first.distance <= Math.min(mostChanges, typed.length / 2) ? first.name : undefined
}

/** The number of letters to insert, remove or replace (Levenshtein distance). */
const distanceOf = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
