import Weights

/// What can be wrong with an artefact; every case names the file.
public enum ArtefactError: Error, Sendable {
  case notAnArtefact(path: String)
  case newerVersion(path: String, found: Int, known: Int)
  case missingAttribute(path: String, object: String, attribute: String)
  case invalidAttribute(path: String, object: String, attribute: String, found: String)
  case unexpectedObject(path: String, object: String, expected: String)
  case duplicateName(path: String, name: String)
  case noSuchTensor(path: String, name: String)
  case invalidWeight(path: String, name: String, WeightsError)
  case notFinite(path: String, dataset: String, index: Int)
  case hashMismatch(path: String, dataset: String, expected: String, found: String)
}

extension ArtefactError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notAnArtefact(let path):
      "'\(path)' is an HDF5 file but no Pith artefact (its root has no attribute format = "
        + "\"\(ArtefactFormat.name)\"); 'pith compress' makes one, 'pith inspect' lists any checkpoint"
    case .newerVersion(let path, let found, let known):
      "'\(path)' is an artefact of format version \(found); this program reads versions up to "
        + "\(known): use a newer pith"
    case .missingAttribute(let path, let object, let attribute):
      "'\(path)': '\(object)' lacks the attribute '\(attribute)'; the artefact is incomplete, "
        + "compress again"
    case .invalidAttribute(let path, let object, let attribute, let found):
      "'\(path)': the attribute '\(attribute)' of '\(object)' holds '\(found)', which is not valid "
        + "there; the artefact is damaged, compress again"
    case .unexpectedObject(let path, let object, let expected):
      "'\(path)': '\(object)' is not \(expected), which the artefact format demands there"
    case .duplicateName(let path, let name):
      "'\(path)': the tensor '\(name)' is there twice"
    case .noSuchTensor(let path, let name):
      "'\(path)': there is no tensor '\(name)'; 'pith inspect' lists what there is"
    case .invalidWeight(let path, let name, let error):
      "'\(path)': the compressed weight '\(name)' is not valid: \(error)"
    case .notFinite(let path, let dataset, let index):
      "'\(path)': '\(dataset)' holds a NaN or an infinity at element \(index), which an artefact "
        + "never does; the file is damaged: copy it again, or compress again"
    case .hashMismatch(let path, let dataset, let expected, let found):
      "'\(path)': the bytes of '\(dataset)' are not as they were written (SHA-256 \(found.prefix(12))…, "
        + "expected \(expected.prefix(12))…); the file is damaged: copy it again, or compress again"
    }
  }
}
