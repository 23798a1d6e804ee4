import type { Extension, PGlite } from '@electric-sql/pglite'

/** A file or directory in the table of names. */
type FileNode = { name: string; parent: FileNode }
/** The used functions of Emscripten's file system, which has a table of the names that it knows. */
type Files = {
  open: (path: string, flags: number, mode: number) => object
  lookupNode: (parent: FileNode, name: string) => FileNode
  destroyNode: (node: FileNode) => void
  closeStream: (descriptor: number) => void
}
/** The used functions of Emscripten's layer over the file system of Node.js. */
type NodeFiles = {
  node_ops: {
    mknod: (parent: FileNode, name: string, mode: number, device: number) => FileNode
    unlink: (parent: FileNode, name: string) => void
  }
  stream_ops: { open: (stream: { fd: number }) => void }
  convertNodeCode: (error: { code: string }) => number | undefined
}
type Module = { FS: Files; NODEFS: NodeFiles }

/**
 * An extension of PGlite that undoes failed creations and openings of files. Emscripten enters a name into its table before it creates
 * the file, and leaves it there if the creation fails (no inodes, no descriptors, a quota). Until a restart, the file could be neither
 * created (it "exists") nor opened (it is missing), although the cause is gone.
 */
export const undoFailedCreations: Extension = {
  name: 'undo failed creations',
  setup: async (_, options: { preRun?: ((instance: PGlite['Module']) => void)[] }) => {
    const guard = (instance: PGlite['Module']): void => {
      guardFiles(instance as object as Module)
    }
    return Promise.resolve({ emscriptenOpts: { ...options, preRun: [...(options.preRun ?? []), guard] } })
  },
}

const guardFiles = ({ FS: files, NODEFS: layer }: Module): void => {
  const { node_ops: nodes, stream_ops: streams } = layer
  const { mknod, unlink } = nodes
  const { open: openFile } = files
  const { open: openStream } = streams
  const { convertNodeCode } = layer
  /** What the running call of `open` created. */
  let created: FileNode | undefined

  // Directories, too, are created by this function.
  nodes.mknod = (parent, name, mode, device) => {
    try {
      return (created = mknod(parent, name, mode, device))
    } catch (error) {
      attempt(() => {
        files.destroyNode(files.lookupNode(parent, name))
      })
      throw error
    }
  }

  // A file is created first and then opened. PostgreSQL retries an opening without descriptors, and would find its own file.
  files.open = (path, flags, mode) => {
    created = undefined
    try {
      return openFile(path, flags, mode)
    } catch (error) {
      const node = created as FileNode | undefined
      if (node) {
        attempt(() => {
          unlink(node.parent, node.name)
          files.destroyNode(node)
        })
      }
      throw error
    } finally {
      created = undefined
    }
  }

  // Emscripten has 4,096 descriptors of its own, and takes one before it opens the file.
  streams.open = (stream) => {
    try {
      openStream(stream)
    } catch (error) {
      files.closeStream(stream.fd)
      throw error
    }
  }

  // An error that Emscripten does not know (a damaged file system) would be no error for PostgreSQL. An exceeded quota is a full disk.
  layer.convertNodeCode = (error) => {
    const code = error.code === 'EDQUOT' ? 'ENOSPC' : error.code
    return convertNodeCode({ code }) ?? convertNodeCode({ code: 'EIO' })
  }
}

/** Runs what may fail while another error is handled, which is the one to report. */
const attempt = (undo: () => void): void => {
  try {
    undo()
  } catch {
    // The name stays in the table, and the file on the disk.
  }
}
