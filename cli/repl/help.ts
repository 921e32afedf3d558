/** Further commands where evaluation stands still. */
export const DEBUGGER_HELP = `
        Debug mode commands
  :env             Show the variables, level by level
  :bt, :backtrace  Show what is being evaluated
  :st              Show the part of it that is looked at, and its variables
  :st <idx>        Look at another part
  :c, :continue    Go on to the end, a failure or builtins.break
  :s, :step        Go one step
`;

export const REPL_HELP = `The following commands are available:

  <expr>                       Evaluate and print the expression
  <x> = <expr>                 Give the expression a name; so do inherit and a.b = 1
  :a, :add <expr>              Add the attributes of a set to the names
  :b <expr>                    Build a derivation
  :bl <expr>                   Build a derivation, and link its outputs here as repl-result-*
  :doc <expr>                  Show the documentation of a function
  :e, :edit <expr>             Open where a function or package is written in $EDITOR
  :i <expr>                    Build a derivation, and install it into the profile
  :l, :load <path>             Load a file, and add its attributes to the names
  :lf, :load-flake <ref>       Load a flake, and add its attributes to the names
  :ll, :last-loaded            Show the names that were added last
  :log <expr>                  Show the log of a derivation's build
  :p, :print <expr>            Evaluate and print the expression with all that is in it;
                               a string as it is
  :q, :quit                    Leave
  :r, :reload                  Load all files and flakes again
  :sh <expr>                   Enter nix-shell for a derivation
  :t <expr>                    Describe the type of an expression
  :te, :trace-enable [bool]    Show whole traces of errors, or no longer
  :u <expr>                    Enter nix-shell with a package
  :?, :help                    Show this text
`;
