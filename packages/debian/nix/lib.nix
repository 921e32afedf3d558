# The few functions that shell files and the collection itself use; named as in nixpkgs' lib.
let
  inherit (builtins)
    concatLists
    concatStringsSep
    elem
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isFunction
    isString
    listToAttrs
    map
    split
    ;
in
rec {
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalString = condition: text: if condition then text else "";
  optionalAttrs = condition: set: if condition then set else { };

  isDerivation = value: isAttrs value && value.type or null == "derivation";

  inherit (builtins) concatMap concatStringsSep genList mapAttrs;
  concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
  flatten = value: if builtins.isList value then concatLists (map flatten value) else [ value ];
  unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
  genAttrs =
    names: f:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );
  filterAttrs =
    isWanted: set: removeAttrs set (filter (name: !(isWanted name set.${name})) (builtins.attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);

  # Where an attribute stands, for messages: " (packages at /p/shell.nix:3:5)"; "" where that is not known.
  placeOf =
    name: set:
    let
      place = builtins.unsafeGetAttrPos name set;
    in
    if place == null then "" else " (${name} at ${place.file}:${toString place.line}:${toString place.column})";

  # "a  b" → [ "a" "b" ]
  words = text: filter (part: isString part && part != "") (split "[[:space:]]+" text);

  getExe = package: "${package}/usr/bin/${package.meta.mainProgram or package.pname}";

  # `f` is a function, or a file that holds one: its arguments are taken from the set, the given ones win.
  callPackageWith =
    set: f: given:
    let
      function = if isFunction f then f else import f;
    in
    makeOverridable function (intersectAttrs (functionArgs function) set // given);

  # The result can be made again with other arguments: `result.override { … }`.
  makeOverridable =
    f: arguments:
    let
      result = f arguments;
    in
    if isAttrs result then
      result
      // {
        override =
          changes:
          makeOverridable f (arguments // (if isFunction changes then changes arguments else changes));
      }
    else
      result;

  fix =
    f:
    let
      x = f x;
    in
    x;
}
