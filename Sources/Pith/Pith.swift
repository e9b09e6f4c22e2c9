// The library for other packages: `import Pith` brings in every room that a caller needs.

@_exported import Allocation
@_exported import Architectures
@_exported import Artefacts
@_exported import Checkpoints
@_exported import Evaluation
@_exported import LinearAlgebra
@_exported import LowRank
@_exported import Models
@_exported import Objectives
@_exported import Pipeline
@_exported import Pruning
@_exported import Quantization
@_exported import Recipes
@_exported import Reports
@_exported import RunRecords
@_exported import Tensors
@_exported import Text
@_exported import Weights
@_exported import ZerothOrder
