# cmake -DFOLDER=recipes -DNAMES=a,b -DOUTPUT=recipe_texts.cpp -P embed_recipes.cmake
# Writes the recipes' files into a C++ source, so that what a recipe's name means is part of the program.
string(REPLACE "," ";" names "${NAMES}")
set(entries "")
foreach(name IN LISTS names)
  file(READ ${FOLDER}/${name}.yaml text)
  string(APPEND entries "      {\"${name}\", R\"recipe(${text})recipe\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/embed_recipes.cmake from the files of recipes/; do not edit.
#include \"jobs/spec/recipes.h\"

namespace paddock::spec {

const RecipeTexts& recipe_texts() {
  static const RecipeTexts texts{
${entries}  };
  return texts;
}

}  // namespace paddock::spec
")
