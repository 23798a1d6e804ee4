/** An origin in a repository. The registry is the same for all keys of a map. */
export type OriginKey = { repository: string; origin: string }

/** Values by repository and origin. Two look-ups of existing strings take less time than joining the strings. */
export type ByOrigin<Value> = {
  get: (key: OriginKey) => Value | undefined
  set: (key: OriginKey, value: Value) => void
  values: () => Value[]
  size: () => number
}

export const createByOrigin = <Value>(): ByOrigin<Value> => {
  const repositories = new Map<string, Map<string, Value>>()
  let size = 0
  return {
    get: ({ repository, origin }) => repositories.get(repository)?.get(origin),
    set: ({ repository, origin }, value) => {
      let values = repositories.get(repository)
      if (!values) repositories.set(repository, (values = new Map<string, Value>()))
      if (!values.has(origin)) size++
      values.set(origin, value)
    },
    values: () => [...repositories.values()].flatMap((values) => [...values.values()]),
    size: () => size,
  }
}
