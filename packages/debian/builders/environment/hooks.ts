import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { fsPath } from "../../../../core/index.ts";
import type { DebianArchitecture } from "../architecture.ts";
import type { RunProgram } from "./runProgram.ts";
import { adoptDirectory, isDirectory, removeNode, writeNode, type Tree } from "./mergeTree.ts";

/**
 * Makes what Debian's triggers would make (schemas, module and loader caches, certificates …), each where its
 * program and its input are there. None is essential: what fails is in the log.
 */
export function runHooks(tree: Tree, { triplet }: DebianArchitecture, run: RunProgram): void {
  const libraries = `/usr/lib/${triplet}`;
  const has = (path: string): boolean => tree.nodes.has(path);

  const schemas = "/usr/share/glib-2.0/schemas";
  const schemaCompiler = `${libraries}/glib-2.0/glib-compile-schemas`;
  if (has(schemaCompiler) && isDirectory(tree, schemas)) run(schemaCompiler, [tree.root + schemas]);

  const gioModules = `${libraries}/gio/modules`;
  const gioQuery = `${libraries}/glib-2.0/gio-querymodules`;
  if (has(gioQuery) && isDirectory(tree, gioModules)) run(gioQuery, [tree.root + gioModules]);

  const pixbuf = `${libraries}/gdk-pixbuf-2.0`;
  if (has(`${pixbuf}/gdk-pixbuf-query-loaders`)) {
    const loaders = `${pixbuf}/2.10.0/loaders`;
    const cache = run(`${pixbuf}/gdk-pixbuf-query-loaders`, [], {
      GDK_PIXBUF_MODULEDIR: tree.root + loaders,
    });
    if (cache !== undefined) writeNode(tree, `${loaders}.cache`, cache);
  }

  const gtkQuery = `${libraries}/libgtk-3-0${has(`${libraries}/libgtk-3-0t64`) ? "t64" : ""}/gtk-query-immodules-3.0`;
  if (has(gtkQuery)) {
    const gtk = { GTK_PATH: `${tree.root}${libraries}/gtk-3.0`, GTK_EXE_PREFIX: `${tree.root}/usr` };
    const cache = run(gtkQuery, [], gtk);
    if (cache !== undefined) writeNode(tree, `${libraries}/gtk-3.0/3.0.0/immodules.cache`, cache);
  }

  if (has("/usr/bin/update-mime-database") && isDirectory(tree, "/usr/share/mime/packages"))
    run("/usr/bin/update-mime-database", [`${tree.root}/usr/share/mime`], { PKGSYSTEM_ENABLE_FSYNC: "0" });

  if (has("/usr/bin/update-desktop-database") && isDirectory(tree, "/usr/share/applications"))
    run("/usr/bin/update-desktop-database", [`${tree.root}/usr/share/applications`]);

  joinCertificates(tree);
  writeXmlCatalog(tree);
  for (const directory of [schemas, gioModules, "/usr/share/mime", "/usr/share/applications"])
    adoptDirectory(tree, directory);
}

/** One file with every certificate authority, and OpenSSL's default place for it. */
function joinCertificates(tree: Tree): void {
  const places = [...tree.nodes.keys()].filter(
    (path) => path.startsWith("/usr/share/ca-certificates/") && path.endsWith(".crt"),
  );
  if (places.length === 0) return;
  const certificates = places.toSorted().map((path) => {
    return `${readFileSync(fsPath(tree.root + path), "latin1").trimEnd()}\n`;
  });
  const bundle = "/etc/ssl/certs/ca-certificates.crt";
  if (tree.nodes.has(bundle)) removeNode(tree, bundle);
  writeNode(tree, bundle, certificates.join(""));
}

/** The catalog that `update-xmlcatalog` would keep: one entry a package's own catalog. */
function writeXmlCatalog(tree: Tree): void {
  const place = "/etc/xml/catalog";
  if (tree.nodes.has(place)) return;
  const catalogs = [...tree.nodes.keys()].filter((path) =>
    /^\/usr\/share\/xml\/.*\/catalog(?:\.xml)?$/.test(path),
  );
  if (catalogs.length === 0) return;
  const entries = catalogs
    .toSorted((a, b) => posix.dirname(a).length - posix.dirname(b).length || (a < b ? -1 : 1))
    .map((path) => `  <nextCatalog catalog="file://${tree.root}${path}"/>`);
  writeNode(
    tree,
    place,
    [
      '<?xml version="1.0"?>',
      '<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">',
      ...entries,
      "</catalog>",
      "",
    ].join("\n"),
  );
}
