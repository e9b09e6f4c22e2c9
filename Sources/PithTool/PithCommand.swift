import ArgumentParser
import Pith

/// The root command.
struct PithCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pith",
    abstract: "Make trained models smaller, and prove with numbers what was lost.",
    discussion: """
      A first run, on a folder or file that holds a model (HDF5, Keras, safetensors):

        pith inspect model.h5                        what is in it
        pith plan recipes/w4-rtn.yaml --model model.h5
                                                     what a recipe would do; touches nothing
        pith compress recipes/w4-rtn.yaml --model model.h5 --output small.h5
        pith validate small.h5 --against model.h5    what was lost
        pith evaluate --model small.h5 --data text.txt --reference model.h5
                                                     what the model still says
        pith decompress small.h5 dense.safetensors   dense tensors again

      Presets stand for recipes: pith compress --preset w4 …; 'pith recipe show w4' prints one.

      Exit codes: 0 good; 1 a bound was missed; 2 bad usage or recipe; 3 bad input data;
      4 out of memory or disk that was declared; 75 stopped safely, --resume goes on.
      """,
    version: toolVersion,
    subcommands: [
      InspectCommand.self, ConvertCommand.self, PlanCommand.self, CompressCommand.self,
      ValidateCommand.self, VerifyCommand.self, DecompressCommand.self, RecipeCommand.self,
      EvaluateCommand.self, CompareCommand.self, CalibrateCommand.self, GenerateCommand.self,
      SearchCommand.self,
      FinetuneCommand.self, ReplayCommand.self, LogCommand.self,
    ])
}

/// The tool's version: part of every artefact.
let toolVersion = "0.1.0"
