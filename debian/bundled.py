"""List what the package bundles: the name, the release and the licence of each."""

from importlib.metadata import distributions


def licence(metadata):
    """What a package says its licence is, in the places that there have been for that."""
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier", ()) if c.startswith("License ::")]
    return metadata["License-Expression"] or ", ".join(classifiers) or metadata["License"]


print("# What is in this package beside finger itself; the texts of the licences are in the file copyright.")
for found in sorted(distributions(), key=lambda found: found.name.lower()):
    if found.name != "finger":
        print(f"{found.name:<20} {found.version:<14} {licence(found.metadata)}")
