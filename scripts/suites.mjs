// Which test suites need no server: those from which nothing is reachable that starts a program.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript'
import { root } from './install.mjs'

/** What only a suite with a server uses: Node's way to start a program, and the clients of Redis and PostgreSQL. */
const SERVERS = new Set([
  'node:child_process',
  'src/storage/sql/postgres.ts',
  'src/storage/sketches/redis-connection.ts',
  // The servers that all suites of a run share.
  'test/servers/shared.ts',
])
/** What opens the embedded database, which takes seconds. */
const STORES = new Set(['src/storage/embedded/pglite.ts', 'src/service/core.ts', 'src/service/app.ts'])

/** Top-level declarations of a file and the names that each mentions, and where imported names come from. */
const parsed = new Map()
const parse = (file) => {
  const known = parsed.get(file)
  if (known) return known
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest)
  const imports = new Map()
  const declarations = []
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) addImports(imports, file, statement)
    else declarations.push({ names: namesOf(statement), mentions: mentionsOf(statement) })
  }
  parsed.set(file, { imports, declarations })
  return parsed.get(file)
}

const addImports = (imports, file, { importClause: clause, moduleSpecifier: { text } }) => {
  const target = text.startsWith('.') ? relative(root, join(root, dirname(file), text.replace(/\.js$/, '.ts'))) : text
  if (!clause || clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return
  const bindings = clause.namedBindings
  if (clause.name) imports.set(clause.name.text, { target, name: 'default' })
  if (bindings && ts.isNamespaceImport(bindings)) imports.set(bindings.name.text, { target, name: '*' })
  if (bindings && ts.isNamedImports(bindings)) {
    for (const { isTypeOnly, name, propertyName } of bindings.elements)
      if (!isTypeOnly) imports.set(name.text, { target, name: (propertyName ?? name).text })
  }
}

const namesOf = (statement) =>
  ts.isVariableStatement(statement)
    ? statement.declarationList.declarations.map(({ name }) => name.text ?? '*')
    : [statement.name?.text ?? '*']

const mentionsOf = (statement) => {
  const names = new Set()
  const visit = (node) => {
    if (ts.isIdentifier(node)) names.add(node.text)
    if (!ts.isTypeNode(node)) ts.forEachChild(node, visit)
  }
  visit(statement)
  return names
}

/** Whether a declaration of a test file, or `*` for the whole file, reaches one of the modules. */
const reaches = (modules, file, name = '*', seen = new Set()) => {
  if (modules.has(file)) return true
  if (!file.startsWith('test/') || !existsSync(join(root, file)) || seen.has(`${file} ${name}`)) return false
  seen.add(`${file} ${name}`)
  const { imports, declarations } = parse(file)
  const wanted = name === '*' ? declarations : declarations.filter(({ names }) => names.includes(name))
  return wanted.some(({ mentions }) =>
    [...mentions].some((mention) => {
      const from = imports.get(mention)
      if (from) return reaches(modules, from.target, from.name, seen)
      return name !== '*' && mention !== name && reaches(modules, file, mention, seen)
    }),
  )
}

/**
 * The suites below test/ that need no server, as paths from the root, in order.
 * @returns {{ pure: string[], embedded: string[] }} those without any store, and those on the embedded database.
 */
export const suitesWithoutServer = () => {
  const suites = readdirSync(join(root, 'test'), { recursive: true })
    .map((name) => `test/${name}`)
    .filter((file) => file.endsWith('.test.ts') && !reaches(SERVERS, file))
    .sort()
  const embedded = suites.filter((file) => reaches(STORES, file))
  return { pure: suites.filter((file) => !embedded.includes(file)), embedded }
}
