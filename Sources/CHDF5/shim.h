// HDF5's type and property-list identifiers are macros over global variables that Swift cannot
// import; each gets a small inline function. Nothing else lives here.
#pragma once
#include <hdf5.h>
#include <unistd.h>
#include <sys/wait.h>
